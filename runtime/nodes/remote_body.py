"""Remote body: what a task of a node place has. Its files come home when it has ended; see `Body`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...actors import ActorProcess, NodeLink, RemoteProcess
from ..runs.workdir import worktree_folder
from ..team.config import Workdir

if TYPE_CHECKING:
    from ..place.base import Body
    from .place import NodePlace

__all__ = ["RemoteBody", "own_folder"]


def own_folder(node: NodeLink, workdir: Workdir, task_id: str) -> str:
    """Return the folder on a node that a task is to have to itself; empty if it has none."""
    match workdir:
        case "shared":
            return ""
        case "private":
            return f"{node.folder}/work/{task_id}"
        case "worktree":
            return str(worktree_folder(Path(node.folder), task_id))


class RemoteBody:
    """See the module.

    Args:
        placement: where its processes come from.
        home: what it has on the host's own machine.
        task_id: the task's id.
        workdir: its agent's.

    Attributes:
        placement: see above.
        task_id: see above.
    """

    __slots__ = ("_home", "_process", "_workdir", "placement", "task_id")

    def __init__(self, placement: NodePlace, home: Body, task_id: str, workdir: Workdir) -> None:
        self.placement = placement
        self._home = home
        self.task_id = task_id
        self._workdir = workdir
        self._process: RemoteProcess | None = None

    @property
    def link(self) -> NodeLink | None:
        """Its node, while that is there."""
        return self._process.node if self._process is not None else None

    @property
    def node(self) -> str:
        """See `Body`."""
        return self._process.place if self._process is not None else ""

    @property
    def capture(self) -> str:
        """See `Body`; where the log is once it is home."""
        return self._home.capture

    @property
    def own_folder(self) -> str:
        """See `Body`; it is known once there is a node."""
        return ""

    @property
    def result_file(self) -> str:
        """See `Body`."""
        return self._home.result_file

    @property
    def items_file(self) -> str:
        """See `Body`."""
        return self._home.items_file

    @property
    def pid(self) -> int | None:
        """See `Body`; an id of that machine."""
        return self._process.pid if self._process is not None else None

    @property
    def waits_for(self) -> str:
        """See `Body`."""
        is_waiting = self._process is not None and self._process.node is None and self._process.end is None
        return f"a node of place {self.placement.name}" if is_waiting else ""

    def begin(self, process: ActorProcess) -> None:
        """See `Body`."""
        if isinstance(process, RemoteProcess):
            self._process = process

    def present_folder(self) -> str:
        """See `Body`: the node's name is before it."""
        folder = own_folder(self.link, self._workdir, self.task_id) if self.link is not None else ""
        return f"{self.node}:{folder}" if folder else ""

    def result_fault(self, most: int) -> str:
        """See `Body`."""
        return self._home.result_fault(most)

    def bound_log(self) -> None:
        """See `Body`; the node has done it."""

    def log_tail(self) -> str:
        """See `Body`."""
        return self._home.log_tail()

    def release(self) -> None:
        """See `Body`. The node's name stays, for those who look back."""
