"""Remote body: what a task of a node place has. Its files come home when it has ended; see `Body`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...actors import ActorProcess, Node, ProcessLimits, ProcessListener, RemoteProcess
from ..runs.folder import RunFiles
from ..runs.workdir import worktree_folder
from ..team.config import Workdir

if TYPE_CHECKING:
    from ...actors import ProcessActor
    from ..place.base import Body
    from ..tasks.spec import TaskSpec
    from .booking import Booking

__all__ = ["RemoteBody", "own_folder", "split"]


def own_folder(node: Node, workdir: Workdir, task_id: str) -> str:
    """Return the folder on a node that a task is to have to itself; empty if it has none."""
    match workdir:
        case "shared":
            return ""
        case "private":
            return str(RunFiles(Path(node.folder)).work / task_id)
        case "worktree":
            return str(worktree_folder(Path(node.folder), task_id))


def split(folder: str) -> tuple[str, str]:
    """Return the node of a task's own folder, as its view has it, and the folder there."""
    node, is_there, path = folder.rpartition(":/")
    return (node, f"/{path}") if is_there else ("", folder)


class BodysPlace(Protocol):
    """What a body asks of its place; `NodePlace` is one."""

    @property
    def name(self) -> str:
        """The place's name."""
        ...

    @property
    def why_none(self) -> str:
        """Why no node of it takes tasks, as a clause; empty where that is not so. In any thread."""
        ...

    def spawn(
        self,
        body: RemoteBody,
        actor_class: type[ProcessActor],
        spec: TaskSpec,
        *,
        listener: ProcessListener,
        limits: ProcessLimits | None,
        fenced: bool,
    ) -> RemoteProcess:
        """Have a process of a task started; see `RemoteBody.spawn`."""
        ...

    def is_wanted(self, node: str) -> bool:
        """Whether a node takes no new task, or tasks wait for one. In any thread."""
        ...

    def give_back(self, booking: Booking) -> None:
        """Let others have the resources of a task that has ended."""


class RemoteBody:
    """See the module.

    Args:
        place: where its processes come from.
        home: what it has on the host's own machine.
        task_id: the task's id.
        workdir: its agent's.
        near: what another task has, whose node is the first choice; None: none is.

    Attributes:
        place: see above.
        task_id: see above.
        near: see above; None where that is on the host's own machine.
        booking: the resources that it has; None: it needs none.
    """

    __slots__ = ("_home", "_process", "_workdir", "booking", "near", "place", "task_id")

    def __init__(self, place: BodysPlace, home: Body, task_id: str, workdir: Workdir, near: Body | None) -> None:
        self.place = place
        self.near = near if isinstance(near, RemoteBody) else None
        self._home = home
        self.task_id = task_id
        self._workdir = workdir
        self._process: RemoteProcess | None = None
        self.booking: Booking | None = None

    @property
    def placement(self) -> RemoteBody:
        """See `Body`."""
        return self

    def spawn(
        self,
        actor_class: type[ProcessActor],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        listener: ProcessListener,
        capture: str | None = None,
        environ: Mapping[str, str] | None = None,
        limits: ProcessLimits | None = None,
        fenced: bool | None = None,
    ) -> ActorProcess:
        """See `Placement`; its environment and its log are the node's own."""
        del kwargs, environ, capture
        (spec,) = args
        return self.place.spawn(self, actor_class, spec, listener=listener, limits=limits, fenced=fenced is not False)

    @property
    def place_name(self) -> str:
        """See `Body`."""
        return self.place.name

    @property
    def link(self) -> Node | None:
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
        why = self.place.why_none or (self.booking.why if self.booking is not None else "")
        return f"a node of place {self.place.name}{why and f': {why}'}" if is_waiting else ""

    @property
    def is_wanted(self) -> bool:
        """See `Body`."""
        return self.place.is_wanted(self.node)

    def begin(self, process: ActorProcess) -> None:
        """See `Body`."""
        if isinstance(process, RemoteProcess):
            self._process = process

    def present_folder(self) -> str:
        """See `Body`: the node's name is before it."""
        folder = own_folder(self.link, self._workdir, self.task_id) if self.link is not None else ""
        return f"{self.node}:{folder}" if folder else ""  # see `split`

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
        if self.booking is not None:
            self.place.give_back(self.booking)
