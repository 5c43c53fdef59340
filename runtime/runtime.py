"""Runtime: the product as a library whose methods block.

It is thin: a `Host` does the work, and lives and ends with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeAlias

from .runtime_base import RuntimeBase
from .tasks.views import TaskView
from .verbs import steps
from .verbs.blocking import BlockingVerbs
from .verbs.driving import drive

if TYPE_CHECKING:
    from .orchestrator import OrchestratorTools
    from .tasks.nodes import NodeView

__all__ = ["Runtime"]

TaskViews: TypeAlias = list[TaskView]
NodeViews: TypeAlias = "list[NodeView]"
"""These have names, as `list` is a method in what follows."""


class Runtime(RuntimeBase, BlockingVerbs):
    """Runs the agents of one team, each task in a process of its own.

    Every method may be called from any thread of the process that made the runtime; a process forked from it must make
    its own. Use it as a context manager, or call `close`. A runtime that is dropped without either is closed when the
    interpreter exits; one whose host is killed leaves no process behind.

    Args:
        team: a checked team; None: no agents, for a program that submits functions.
        state_dir: folder in which this run gets a folder of its own, for the journal and for what tasks say; made with
            mode 0700 if missing. None is `$SUBACTORS_STATE_DIR`, or else `subactors` in the user's state folder.
        working_dir: where tasks work, and orchestrators of this process; None: the current directory of this process
            when they start.
        on_question: is called with each `Question` that a task asks a person, or this program, in a thread of its own,
            and returns the answer; None leaves it to others. An async function runs in the event loop of asyncio that
            runs when the runtime is made. Without one, `permissions: ask` denies.
        settings: fields of `Settings`, such as `max_running=50`, that win over the team file's.

    Raises:
        StateError: the state folder cannot be used.
        TypeError: a setting that does not exist, or has the wrong type.
        ValueError: a setting is out of its range, `working_dir` is not a folder, or an agent's place is unknown.
        TeamFileError: something in the setting `places` is wrong; it has every problem of it.
        UnsupportedPlatformError: not on this operating system.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def history(self) -> TaskViews:
        """Return the tasks of earlier runs in the same state folder, oldest first; `view` has their output and result.

        What a host that died left unfinished is failed, with that reason. A run is kept for a week, and for as long as
        one of its results has not been read: `view` of a task is what reads it.

        Raises:
            StateError: the state folder cannot be read.
        """
        return self._host.history()

    def nodes(self) -> NodeViews:
        """Return the machines of all places, in the order of these; none where all tasks run on this one."""
        return drive(self._way, steps.nodes())

    def drain(self, name: str, *, stop: bool = False) -> NodeView | None:
        """Have a node take no new task, and return it as it is then; None if nothing is left of it.

        A machine that is in several places is drained in each. Returned is the node of the first of them; `nodes` has
        all.

        Args:
            name: of the node, as `nodes` has it.
            stop: whether its tasks are ended at once: those with a restart policy start again on another node, the
                others have failed. Else they run until they end by themselves.

        Raises:
            RunError: there is no such node.
        """
        return drive(self._way, steps.drain(name, stop=stop))

    def toolset(self, agent: str) -> OrchestratorTools:
        """Return the tools of an agent, as its model would see them, for a loop of the host's own.

        Each call makes a new orchestrator: it sees and stops the tasks that it started, and no others.

        Raises:
            UnknownAgentError: the team has no such agent.
            ToolsetError: one of its MCP servers cannot be used.
        """
        from .orchestrator import open_tools  # noqa: PLC0415 - brings asyncio and the toolsets

        return open_tools(self._host, agent)

    def close(self) -> None:
        """Stop every task, wait until all is gone, and give back everything. Bounded; may be repeated.

        An interrupt (`KeyboardInterrupt`) ends the wait: what still runs is killed.
        """
        self._host.close()
