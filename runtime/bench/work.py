"""Work: what is measured, by which ways, and what one fan-out of it took."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..team.config import Settings
from ..text import one_line

__all__ = ["COROUTINES", "OURS", "PROCESSES", "THREADS", "WAYS", "FanOut", "Opened", "Order", "Span", "Work"]

OURS: Final = "subactors"
THREADS: Final = "threads"
PROCESSES: Final = "processes"
COROUTINES: Final = "coroutines"
WAYS: Final = (OURS, THREADS, PROCESSES, COROUTINES)
"""The ways to do the work, in the order in which they are shown."""


_LONGEST_ARGS: Final = 40
"""Characters of the arguments in a title."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work that is done many times.

    Attributes:
        team: the team file; empty: the work is a function.
        agent: the agent that does it.
        task: what it is asked to do.
        function: `package.module:function`, where there is no team; or the entrypoint of the agent.
        args: what the function is called with.
        concurrency: how many are at work at a time, in every way.
        most: the largest number of tasks.
        state_dir: see `Runtime`.
        working_dir: where the tasks work; None: in the current folder.
    """

    team: str = ""
    agent: str = ""
    task: str = ""
    function: str = ""
    args: list[Any] = []
    concurrency: int = Settings().max_running
    most: int = 1
    state_dir: str | None = None
    working_dir: str | None = None

    @property
    def title(self) -> str:
        """What it is called."""
        if self.team:
            return f"agent {self.agent} of {self.team}"
        args = ", ".join(msgspec.json.encode(arg).decode() for arg in self.args)
        return f"{self.function}({one_line(args, _LONGEST_ARGS)})"


class Order(msgspec.Struct, frozen=True):
    """To a program that does the work: do it as many times, all at once."""

    tasks: int


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """From such a program: it is ready.

    Attributes:
        seconds: how long it took to be, without the program's own start.
        fault: why the work cannot be done by this way; empty if it can.
    """

    seconds: float = 0.0
    fault: str = ""


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task of a fan-out. Times are seconds since the fan-out began.

    Attributes:
        slot: when there was room for it.
        began: when its code, or its process, was at work; None if it never was.
        said: when its first output had come; None if there was none.
        ended: when it ended.
        failure: why it failed; empty if it did not.
    """

    slot: float
    ended: float
    began: float | None = None
    said: float | None = None
    failure: str = ""


class FanOut(msgspec.Struct, frozen=True, kw_only=True, tag="fan_out"):
    """From such a program: the tasks have ended.

    Attributes:
        wall: seconds from the first start to the last result.
        spans: the tasks.
        input_tokens: of all of them, with what they have started.
        output_tokens: the same.
        cost: the same, in US dollars.
        rate_limits: how often a model's rate limit was met.
        fault: why the way is not fit for the work; empty if it is.
    """

    wall: float
    spans: list[Span]
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    rate_limits: int = 0
    fault: str = ""
