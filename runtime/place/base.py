"""Place and Body: what the supervisor knows of where tasks run.

The supervisor knows no process id, no control group and no path that a task's process writes. It asks the place, which
answers in values. `local` is the host's own machine; `nodes` has others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from ...actors import ActorProcess, Placement
from ..tasks.nodes import NodeView
from ..tasks.views import ProcessSeen, TaskView, Vitals
from ..tasks.watching import Sample
from ..team.config import Limits, Workdir

__all__ = ["Body", "Look", "Place"]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A close look at a task; for the other attributes see `Silence`.

    Attributes:
        dump_at: where in the task's log the stacks begin that its process was asked for; None if it was not.
        is_put_off: whether it could not be looked at just now, for another reason than the task itself.
    """

    stack: str = ""
    processes: tuple[ProcessSeen, ...] = ()
    missing: str = ""
    dump_at: int | None = None
    is_put_off: bool = False


class Body(Protocol):
    """Body: what one task has at its place, over all attempts. For the supervisor's thread."""

    @property
    def placement(self) -> Placement | None:
        """Where its processes come from; None: from the supervisor's own process system."""
        ...

    @property
    def place_name(self) -> str:
        """The name of the place where its processes run; empty: the host's own machine."""
        ...

    @property
    def node(self) -> str:
        """The machine on which its latest process runs, or ran; empty if that is the host's, or not decided yet."""
        ...

    @property
    def capture(self) -> str:
        """Where what its processes write to standard output and error goes; see `ChildSpec.capture`."""
        ...

    @property
    def own_folder(self) -> str:
        """The folder that it is to have to itself, which its process makes; empty if it has none."""
        ...

    @property
    def result_file(self) -> str:
        """The file for its final answer, where that is too large to be sent."""
        ...

    @property
    def items_file(self) -> str:
        """The file for the items and results of a group, if it is one."""
        ...

    @property
    def pid(self) -> int | None:
        """Id of its latest process, for people who look at that machine; None while that does not exist yet."""
        ...

    @property
    def waits_for(self) -> str:
        """What its latest process waits for before it can be made, such as `a node of place cluster`; else empty."""
        ...

    @property
    def is_wanted(self) -> bool:
        """Whether what it has is wanted: its machine takes no new task, or others wait for one at its place."""
        ...

    def begin(self, process: ActorProcess) -> None:
        """Have it that an attempt of its runs in `process` from now on."""

    def present_folder(self) -> str:
        """Return its own folder as long as that is there; else empty."""
        ...

    def result_fault(self, most: int) -> str:
        """Return what is wrong with the file of its final answer, as the end of a sentence; empty if nothing.

        Args:
            most: bytes that it may have.
        """
        ...

    def bound_log(self) -> None:
        """Keep what its processes have written within bounds: one has ended. Mostly a look at one file, 20 µs."""

    def log_tail(self) -> str:
        """Return the end of what its processes have written to standard output and error; 35 µs, at a failure only."""
        ...

    def release(self) -> None:
        """Give back what nobody needs after its end. Returns at once."""


class Place(Protocol):
    """Place: where tasks run. For the supervisor's thread, unless a method says otherwise."""

    def body(self, task_id: str, workdir: Workdir, place: str = "", near: Body | None = None) -> Body:
        """Return what a new task is to have.

        Args:
            task_id: the task's id.
            workdir: its agent's.
            place: name of the place where it is to run; empty: the host's own machine.
            near: what another task has, whose machine is the first choice; None: none is.
        """
        ...

    def watch(
        self, task_id: str, body: Body, process: ActorProcess, limits: Limits, reached: Callable[[str], None]
    ) -> None:
        """Look at what a task's process tree uses, until `forget`.

        Args:
            task_id: the task's id.
            body: what it has here.
            process: its process.
            limits: what its tree may use.
            reached: is called with a sentence, in another thread, each time that a limit is found reached.
        """

    def forget(self, task_id: str) -> None:
        """Look no more at a task whose process has ended."""

    def latest(self, task_id: str) -> Vitals | None:
        """Return the last sample of what a task uses; None if there is none yet. In any thread."""
        ...

    def watched(self) -> None:
        """Somebody watches all tasks just now: here samples are taken more often then, for a moment. In any thread."""

    def samples(self, task_id: str) -> list[Sample]:
        """Return the latest samples of what a task uses, oldest first; none of one that has ended. In any thread."""
        ...

    def take_peak(self, task_id: str) -> int:
        """Return the largest memory seen of a task that has ended, in bytes, and forget it; 0 if none was."""
        ...

    def look_closely(
        self, body: Body, done: Callable[[Look], None], *, with_stack: bool, dump_at: int | None = None
    ) -> None:
        """Look at what a task does just now. Returns at once.

        Args:
            body: what the task has here.
            done: is called with what was seen, once, in any thread; a look that hangs never calls it.
            with_stack: whether the stack of its main thread is wanted. The task's process writes it to its log.
            dump_at: what an earlier look has said of the stacks that it asked for: then they are not asked for again.
        """

    def look_back(
        self, task_id: str, continued: str, limit: int | None, done: Callable[[TaskView | None], None]
    ) -> None:
        """Look for a task of an earlier run that a continued task had started. Returns at once.

        Args:
            task_id: the task.
            continued: the task that is continued.
            limit: bytes of output; None: all.
            done: is called with the task, or with None if there is none, once, in any thread.
        """

    def nodes(self, done: Callable[[list[NodeView]], None]) -> None:
        """Tell of the machines beside the host's own. Returns at once.

        Args:
            done: is called with them, in the order of the places, once, in any thread.
        """

    def drain(self, name: str, *, stop: bool, done: Callable[[str], None]) -> None:
        """Have a node take no new task, in each place that has one. Returns at once; to be repeated harms nothing.

        Args:
            name: of the node.
            stop: whether its tasks are ended, and restarted elsewhere; else they run until they end by themselves.
            done: is called once that is so, in any thread, with an empty text, or with a sentence that says why it
                cannot be.
        """

    @property
    def is_watching(self) -> bool:
        """Whether there is anything to look at. In any thread."""
        ...

    def gets_on(self) -> bool:
        """Whether the looks go on, as far as asking now and then shows; `mend` is due if not. In the I/O thread."""
        ...

    def mend(self) -> None:
        """Begin the looks anew."""

    def close(self) -> None:
        """Look at nothing any more. Bounded."""
