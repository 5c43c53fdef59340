"""Packing: what an actor starts with, pickled, and what goes with that where the host uses `multiprocessing`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from ..wire.messages import ProcessLimits, Start
from ..wire.objects import Packed, encode_object

if TYPE_CHECKING:
    from .zygote_keeper import Surroundings

__all__ = ["encoded_actor", "first_message", "pack"]


def encoded_actor(actor: tuple[type, tuple[Any, ...]] | None) -> bytes:
    """Return an actor pickled, class and arguments; empty if there is none."""
    return encode_object((*actor, {})) if actor is not None else b""


def pack(value: object) -> Packed:
    """Pickle what an actor starts with, and what goes with that where the host uses `multiprocessing`."""
    if "multiprocessing.context" not in sys.modules:
        return Packed(encode_object(value))
    return _packing_with_multiprocessing()(value)


def first_message(
    urn: str,
    packed: Packed,
    here: Surroundings,
    capture: str | None,
    limits: ProcessLimits | None,
    *,
    group: str | None,
    fenced: bool,
) -> Start:
    """Return what makes a process of this machine an actor; for the arguments see `Start` and `ProcessSystem.spawn`."""
    return Start(
        urn=urn,
        actor=packed.data,
        directory=here.directory,
        environ=here.environ,
        sys_path=here.sys_path,
        capture=os.path.join(here.directory, os.fsencode(capture)) if capture is not None else None,  # noqa: PTH118 - bytes
        limits=limits,
        group=group,
        # Who is behind a fence must not have what it could make other processes of the host do something with.
        authkey=packed.authkey if not fenced else None,
        tracker=packed.tracker,
    )


@cache
def _packing_with_multiprocessing() -> Callable[[object], Packed]:
    from ..wire.inheritance import pack  # noqa: PLC0415 - most hosts do without

    return pack
