"""Output from a task, in pieces of 4 kB: into the host, and with subactors into the journal's files, all of it kept."""

from __future__ import annotations

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from ..work import PIECE
from .base import Scenario, Size

__all__ = ["SCENARIO"]

_MEGABYTE = 1e6


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Stream so many megabytes (`tasks`, as sizes have no better name for it) at each sample."""
    (megabytes,) = size.tasks
    pieces = int(megabytes * _MEGABYTE / len(PIECE))
    if isinstance(contender, Subactors):
        contender.open(1, max_output=2 * pieces * len(PIECE))
    else:
        contender.open(1)
    for _ in range(size.samples):
        record.add("stream", pieces * len(PIECE) / _MEGABYTE / contender.stream(pieces), "MB/s")


SCENARIO = Scenario(
    "stream",
    "output in pieces of 4 kB",
    measure,
    ("floor", "subactors", "forkserver", "asyncio"),
    full=Size(rounds=5, samples=2, tasks=(100,)),
    quick=Size(rounds=1, samples=2, tasks=(40,)),
)
