"""What a host and the agents of its nodes say to each other of tasks; beneath it, `actors` speaks of processes.

A node is not trusted: the types bound what is counted and what is kept; what is text, the host cuts.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from ...actors import ErrorData
from ..place.base import Look
from ..tasks.views import Vitals
from ..team.config import Limits

__all__ = [
    "LOG_PIECE",
    "LOG_SENT",
    "CodeSent",
    "CodeWanted",
    "Evicted",
    "FromHouse",
    "HoldLimits",
    "Left",
    "LimitReached",
    "LogGrown",
    "LookAt",
    "Looked",
    "NodeSetup",
    "NotPreloaded",
    "Seen",
    "ToHouse",
]

LOG_SENT: Final = 16_384
"""Bytes of a log that are sent with an exit; longer ones are fetched."""

LOG_PIECE: Final = 65_536
"""Bytes of a log that are sent each time, while its task runs; what comes faster is sent at the end."""

_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""What any database and any JSON reader takes."""


class NodeSetup(msgspec.Struct, frozen=True, kw_only=True):
    """Host to node, first: how it is to work for this run.

    Attributes:
        run: name of the run.
        folder: where it is to keep files; empty: in the state folder of its user.
        system: pickled arguments of its process system.
        keeps_free: which part of the machine's memory is kept free by ending the largest task; 0: none is.
        code: names of the archives of the team's folders with modules, in their order; see `code_store`.
    """

    run: str
    folder: str
    system: bytes
    keeps_free: float = 0.0
    code: tuple[str, ...] = ()


# --- host to node ----------------------------------------------------------------------------------------------------


class HoldLimits(msgspec.Struct, frozen=True, tag="hold_limits"):
    """Look at what the tree of a task uses, until its process has ended, and say when it reaches a limit."""

    task_id: str
    limits: Limits


class LookAt(msgspec.Struct, frozen=True, tag="look_at"):
    """Look closely at a task, and answer with the same number; for the others see `Place.look_closely`."""

    number: int
    task_id: str
    with_stack: bool
    dump_at: int | None


class CodeSent(msgspec.Struct, frozen=True, tag="code_sent"):
    """An archive of modules that the node has asked for."""

    packed: bytes


ToHouse: TypeAlias = HoldLimits | LookAt | CodeSent


# --- node to host: decoded against exactly these ---------------------------------------------------------------------


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """What tasks use, by the keys of their processes; and how much memory the machine has left, in bytes."""

    vitals: dict[int, Vitals]
    available: _Count


class LimitReached(msgspec.Struct, frozen=True, tag="limit_reached"):
    """The task of a process has reached a limit, as a sentence."""

    key: int
    sentence: str


class Evicted(msgspec.Struct, frozen=True, tag="evicted"):
    """A task is being ended, as the node has no room for it any more: a clause that says why."""

    key: int
    why: str


class LogGrown(msgspec.Struct, frozen=True, tag="log_grown"):
    """A piece of what a task's processes have written to standard output and error; with it the log ends for now."""

    key: int
    start: _Count
    data: Annotated[bytes, msgspec.Meta(max_length=LOG_PIECE)]


class Looked(msgspec.Struct, frozen=True, tag="looked"):
    """What was seen at a close look."""

    number: int
    look: Look


class CodeWanted(msgspec.Struct, frozen=True, tag="code_wanted"):
    """Archives of modules that the node does not have, by their names; asked for once, before it serves."""

    names: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(max_length=1000)]


class NotPreloaded(msgspec.Struct, frozen=True, tag="not_preloaded"):
    """A module of `preload` could not be imported there."""

    entry: str
    error: ErrorData


FromHouse: TypeAlias = CodeWanted | NotPreloaded | Seen | LimitReached | Evicted | LogGrown | Looked


class Left(msgspec.Struct, frozen=True):
    """What a process has left in files, with its exit.

    Attributes:
        log: the end of what it wrote to standard output and error.
        log_size: how long that is there.
        result_size: bytes of its result, where that was too large to be sent; -1: there is none.
        peak: the largest memory sampled of it, in bytes.
    """

    log: Annotated[bytes, msgspec.Meta(max_length=LOG_SENT)] = b""
    log_size: _Count = 0
    result_size: Annotated[int, msgspec.Meta(ge=-1, le=2**53)] = -1
    peak: _Count = 0
