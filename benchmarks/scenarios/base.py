"""What a scenario is: one thing that is measured, of each contender in a host process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..contenders.base import Contender
from ..results import Recorder

__all__ = ["ALL", "OWN_PROCESS", "RUNTIME", "Scenario", "Size", "come_to_rest", "have_idle", "pause"]

RUNTIME = ("subactors", "subactors-standby")
OWN_PROCESS = (
    "floor",
    *RUNTIME,
    "actors",
    "actors-standby",
    "context",
    "forkserver",
    "spawn",
    "executor",
    "pebble",
    "loky",
    "ray",
)
ALL = (*OWN_PROCESS, "asyncio")


@dataclass(frozen=True)
class Size:
    """How much of it.

    Attributes:
        rounds: hosts, one after the other, in turn with those of the other contenders.
        samples: values in one host.
        tasks: how many tasks at once, where the scenario varies that; each value is measured in a host of its own.
        seconds: how long something is watched, where the scenario does that.
    """

    rounds: int = 3
    samples: int = 20
    tasks: tuple[int, ...] = ()
    seconds: float = 5.0


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    Attributes:
        measure: called in the host with the contender (not open yet), the size with one number of tasks at most, and
            where values go.
        limit: seconds that one host may take, before it is ended.
        at_once: whether its tasks all live at once, so that there can be too many for a contender.
    """

    name: str
    title: str
    measure: Callable[[Contender, Size, Recorder], None]
    contenders: tuple[str, ...]
    full: Size
    quick: Size
    limit: float = 120.0
    at_once: bool = True


def come_to_rest(contender: Contender) -> None:
    """Let a contender that has run its first task finish what it does in its own time, as it would in any host."""
    if not contender.fills_itself:
        time.sleep(0.5)


def have_idle(contender: Contender, count: int) -> None:
    """Have so many tasks alive that do nothing; each of them has begun."""
    for task in [contender.start("idle") for _ in range(count)]:
        task.first_message()


def pause(contender: Contender) -> None:
    """Between two starts that are measured one by one: what ended before is over, what stands by is there again."""
    if not contender.fills_itself:
        time.sleep(0.1)
