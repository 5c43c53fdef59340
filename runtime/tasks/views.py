"""Views: what a caller sees of tasks. Frozen values, safe to keep and to share between threads."""

from __future__ import annotations

import functools
import itertools
import math
import os
import time
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from ..models.base import RATE_WAIT, Usage
from .questions import Question
from .result import decode_result, decode_result_file, read_result_file

__all__ = [
    "ID_PREFIX",
    "LONGEST_NOTE",
    "TERMINAL",
    "Budget",
    "Ids",
    "ProcessSeen",
    "Progress",
    "Silence",
    "Status",
    "TaskBudget",
    "TaskList",
    "TaskView",
    "ToolAtWork",
    "ToolInUse",
    "Vitals",
    "iso_time",
]

Status: TypeAlias = Literal[
    "queued", "starting", "running", "waiting", "stopping", "restarting", "completed", "failed", "stopped"
]
"""`queued → starting → running → completed | failed | stopped`.

`queued` is left out where there is a slot for the task, and leads to `stopped` where it is stopped before there is one.
`waiting` is a running task that waits for the answer to a question. `stopping` is between a stop and the end of the
process tree, `restarting` between two attempts.
"""

TERMINAL: frozenset[Status] = frozenset({"completed", "failed", "stopped"})


ID_PREFIX = "agent_task_"
"""How the id of every task begins."""


class Ids:
    """Ids that begin with the same word, of one host and none of them twice. For any thread.

    Of 17,000 random ones of this length two are the same in three hosts of a hundred.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = itertools.count(int.from_bytes(os.urandom(4), "big"))
        # An odd factor makes another number of each.
        self._factor = int.from_bytes(os.urandom(4), "big") | 1

    def new(self) -> str:
        """Return one that has not been returned before."""
        return f"{self._prefix}{next(self._numbers) * self._factor % 2**32:08x}"


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """Vitals: what a task's process tree uses.

    Attributes:
        cpu_percent: share of one core since the sample before; None for an ended task and before the second sample.
        cpu_seconds: CPU time so far, of the whole tree, also of processes of it that are gone.
        memory_bytes: what ending the tree would free: its unique set size (USS), what of it is swapped out, and shared
            memory that it has open or mapped, each page once; for an ended task the largest that was sampled, 0 if it
            ended before its first sample.
        processes: processes in the tree; 0 for an ended task.
        note: what of the tree could not be looked at, or why it cannot be looked at now; empty if nothing is missing.
    """

    cpu_percent: float | None = None
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    processes: int = 0
    note: str = ""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a task may use; None: there is no limit.

    Attributes:
        turns: turns of its loop; of a group, those of each item.
        tokens: input and output tokens together, with those of all tasks that it starts.
        cost: US dollars, with those of all tasks that it starts.
        seconds: from its start.
        shared: which of `tokens` and `cost` it shares with whoever started it: it is what was left for both.
    """

    turns: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None
    shared: tuple[Literal["tokens", "cost"], ...] = ()


class TaskBudget(Budget, frozen=True, kw_only=True):
    """What a task may use, as its limits say; in `shared`, the limit is that of whoever started it.

    Attributes:
        left: what is left of it. Of tokens and cost, what is reserved for tasks that it has started is not.
    """

    left: Budget = Budget()


LONGEST_NOTE = 200
"""Characters of the note of a progress."""


class Progress(msgspec.Struct, frozen=True):
    """How far a task has come, in its own words; see `EntrypointTask.progress`.

    Attributes:
        done: how much is done, from 0; it may be above the total, which often is an estimate.
        total: how much there is to do, from 0; None: the task does not know.
        note: what it is at; empty if it did not say.

    Raises:
        ValueError: a number is not finite, or below 0, or there is nothing to do and something of it done.
    """

    done: int | float
    total: int | float | None = None
    note: Annotated[str, msgspec.Meta(max_length=LONGEST_NOTE)] = ""

    def __post_init__(self) -> None:
        """Refuse what JSON has no numbers for."""
        if not (math.isfinite(self.done) and math.isfinite(self.total or 0)):
            raise ValueError("A progress is told in finite numbers.")
        if self.done < 0 or (self.total or 0) < 0:
            raise ValueError(f"A progress is told in numbers from 0, not {min(self.done, self.total or 0)}.")
        if self.total == 0 and self.done > 0:
            raise ValueError(
                f"A progress of {self.done} out of 0 means nothing. Leave the total out if nobody knows it."
            )

    @property
    def fraction(self) -> float | None:
        """The part that is done, from 0 to 1; None where nobody knows how much there is to do."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total and self.total > 0 else None


class ToolInUse(msgspec.Struct, frozen=True):
    """A tool that has been called and has not answered, and for how many seconds."""

    name: str
    seconds: float


class ToolAtWork(msgspec.Struct, frozen=True):
    """A tool that has been called and has not answered.

    Attributes:
        name: its name.
        began_at: when it was called, in the form of `TaskView.started_at`.
    """

    name: str
    began_at: str


class ProcessSeen(msgspec.Struct, frozen=True):
    """A process of a task, as the kernel shows it.

    Attributes:
        pid: its id.
        name: the first 15 characters of its program's name; a process may call itself anything.
        state: `running`, `sleeping`, `waiting for a disk`, `stopped`, `ended` or `idle`.
        cpu_seconds: CPU time so far.
        cpu_percent: share of one core during the look; None if it began meanwhile.
    """

    pid: int
    name: str
    state: str
    cpu_seconds: float
    cpu_percent: float | None = None


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """What a silent task does, as seen from outside.

    Attributes:
        tools: those that it is in, the longest first.
        stack: the Python stack of its main thread, the innermost call first, a line each; empty if that is not known.
        stack_age: seconds since the stack was taken: once in a silence, at the first close look.
        processes: its process and those that came from it, parents first; 40 at most.
        missing: what could not be seen, and why, as sentences; empty if all was.
    """

    tools: tuple[ToolInUse, ...] = ()
    stack: str = ""
    stack_age: float = 0.0
    processes: tuple[ProcessSeen, ...] = ()
    missing: str = ""


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """One task at one moment.

    Attributes:
        id: begins with `agent_task_`.
        agent: name of the agent that runs it.
        task: what it was asked to do; in `list` its head and tail, if it is longer than 10,000 characters.
        status: see `Status`.
        reason: why it ended as it did; empty while it runs, and for a completed one that has left no process behind and
            no message to it.
        error: the type of the exception that ended it, such as `ValueError`, without the module of one of Python's own;
            empty if none did, and for a task of an earlier run.
        traceback: where the code of an entrypoint, or of a `python/` model, failed: its own frames only, of the last
            attempt; empty if it did not, and in `list`.
        error_args: arguments of the exception that ended a function, as JSON text, where its type is one of Python's
            own and they are plain data; else empty, and in `list`.
        runtime: seconds from its start to now, or to its end; 0 where it has not started.
        started_at: when it started, as ISO 8601 has it, in UTC: `2026-01-31T12:00:00.000Z`; of its first attempt. Empty
            while it is queued, and for one that was stopped then.
        queued_at: when it was queued, in the same way; None for a task that started at once.
        queue_place: its place in the queue, from 1; 0 if it is not queued, and where only the journal can be asked.
        ended_at: when it ended, in the same way; None while it has not.
        output: what it has said so far, head and tail beyond the bound; in `list` and in events its last lines only, of
            400 bytes together at most, or the end of a longer line, behind `…`.
        output_size: bytes that it has said in all.
        result_json: its final answer as JSON text; None while there is none, and where it is in a file.
        result_file: the file with its final answer, where that is above 8 MiB or a million values; else empty.
        usage: tokens and cost, as far as model servers reported them and the team file has prices.
        total_usage: the same with that of all tasks that it started, and theirs.
        vitals: CPU and memory; None where no sample was taken.
        attempts: how many processes it has had; 0 before it has started.
        continues: id of the task whose conversation it goes on with; empty if it began anew.
        parent: id of the task or orchestrator that started it; None for one that the host started.
        pid: id of its process; None before it exists and after its end.
        node: the machine of its place on which it runs, or ran last; empty: the host's own, or none yet.
        workdir: the folder that it has to itself, while that exists; empty if it works in the runtime's.
        doing: what it was last seen to do: in which tools; opening its tools; waiting for a node, its model, its tasks,
            its budget, an answer or a rate limit; ending. Empty where nobody can know.
        doing_began_at: since when it does that, in the form of `started_at`; None where nobody can know.
        tools: the tools that it is in, the longest first.
        group: id of the group, a task for many items, of which it does one; None if it does none.
        silent: seconds since it last said or did anything, once that is longer than `stall_after`; else 0. One that
            only waits, for its tasks, say, is not silent.
        progress: how far its latest attempt has come; None if that has told nothing of it.
        silence: of one that is `silent`, what it does, where one task is viewed; else None.
        questions: what it has asked, and waits to be answered, oldest first.
        budget: what it may use, and what is left; None if it has no limit, in `list`, and where only the journal can
            be asked.
    """

    id: str
    agent: str
    task: str
    status: Status
    reason: str = ""
    error: str = ""
    traceback: str = ""
    error_args: str = ""
    runtime: float = 0.0
    started_at: str = ""
    queued_at: str | None = None
    queue_place: int = 0
    ended_at: str | None = None
    output: str = ""
    output_size: int = 0
    result_json: str | None = None
    result_file: str = ""
    usage: Usage = Usage()
    total_usage: Usage = Usage()
    vitals: Vitals | None = None
    attempts: int = 1
    parent: str | None = None
    pid: int | None = None
    node: str = ""
    workdir: str = ""
    doing: str = ""
    doing_began_at: str | None = None
    tools: list[ToolAtWork] = []
    group: str | None = None
    silent: float = 0.0
    progress: Progress | None = None
    silence: Silence | None = None
    continues: str = ""
    questions: list[Question] = []
    budget: TaskBudget | None = None

    def __repr__(self) -> str:
        return f"<TaskView {self.id} of {self.agent}: {self.status}>"

    @property
    def rate_wait(self) -> str:
        """The wait for a model's rate limit, in words; empty if it does not wait for one."""
        return self.doing if self.doing.startswith(RATE_WAIT) else ""

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in TERMINAL

    @property
    def has_result(self) -> bool:
        """Whether there is a final answer, and it is not None."""
        return bool(self.result_file) or self.result_json not in {None, "null"}

    @property
    def result(self) -> Any:
        """Its final answer: text, or the plain data that an entrypoint returned; None while there is none.

        It is made anew each time, as few look at those of all tasks; one that is in a file is read for it.

        Raises:
            StateError: the file is gone or damaged.
        """
        if self.result_file:
            return decode_result_file(self.result_file)
        return decode_result(self.result_json) if self.result_json is not None else None

    def result_as_json(self) -> str:
        """Return its final answer as JSON text, `null` while there is none; raises as `result` does."""
        return read_result_file(self.result_file) if self.result_file else self.result_json or "null"

    def as_data(self, *, whole: bool = False) -> dict[str, Any]:
        """Return it as plain data, for readers of JSON: its fields, but with the result itself.

        Args:
            whole: whether a result that is in a file is read, too; else that is None. Raises as `result` does.
        """
        # A list may hold thousands of tasks, so no field is looked at one by one.
        values = [*msgspec.to_builtins(self).values()]
        values[_RESULT_AT] = None if self.result_file and not whole else self.result
        return dict(zip(_DATA_NAMES, values, strict=True))


_RESULT_AT: Final = TaskView.__struct_fields__.index("result_json")
_DATA_NAMES: Final = tuple("result" if name == "result_json" else name for name in TaskView.__struct_fields__)


class TaskList(msgspec.Struct, frozen=True, kw_only=True):
    """Several tasks, oldest first, and the room there is.

    Attributes:
        tasks: the tasks that were asked for.
        running: tasks of the whole runtime that have started and not ended.
        max_running: how many may be. One more may start where all that run wait for tasks that are queued.
        queued: tasks of the whole runtime that wait for a slot.
        max_queued: how many may.
    """

    tasks: list[TaskView]
    running: int
    max_running: int
    queued: int = 0
    max_queued: int = 0

    def as_data(self) -> dict[str, Any]:
        """As `TaskView.as_data`."""
        counts = msgspec.to_builtins(msgspec.structs.replace(self, tasks=[]))
        return {**counts, "tasks": [view.as_data() for view in self.tasks]}


def iso_time(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as ISO 8601 has it, in UTC and with milliseconds.

    Raises:
        ValueError, OverflowError, OSError: no calendar has that time.
    """
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_whole_second(whole)}.{milliseconds:03}Z"


@functools.lru_cache(maxsize=256)
def _whole_second(seconds: int) -> str:
    # Lists show the starts of the same tasks again and again, and many have started together.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
