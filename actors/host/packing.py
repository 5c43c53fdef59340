"""Packing: what an actor starts with, pickled, and what goes with that where the host uses `multiprocessing`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from ..wire.objects import Packed, encode_object

__all__ = ["encoded_actor", "pack"]


def encoded_actor(actor: tuple[type, tuple[Any, ...]] | None) -> bytes:
    """Return an actor pickled, class and arguments; empty if there is none."""
    return encode_object((*actor, {})) if actor is not None else b""


def pack(value: object) -> Packed:
    """Pickle what an actor starts with, and what goes with that where the host uses `multiprocessing`."""
    if "multiprocessing.context" not in sys.modules:
        return Packed(encode_object(value))
    return _packing_with_multiprocessing()(value)


@cache
def _packing_with_multiprocessing() -> Callable[[object], Packed]:
    from ..wire.inheritance import pack  # noqa: PLC0415 - most hosts do without

    return pack
