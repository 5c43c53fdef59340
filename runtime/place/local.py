"""Local place: the host's own machine. Tasks run in processes of its zygote, and leave files in the run's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...actors import ActorProcess
from ...actors.regular_files import is_folder, length_of
from ..runs.folder import RunFolder
from ..runs.output import bound_log, log_tail
from ..runs.workdir import worktree_folder
from ..runs.worktree_keeper import WorktreeKeeper
from ..tasks.nodes import NodeView
from ..tasks.views import TaskView, Vitals
from ..tasks.watching import Sample
from ..tasks.wording import size
from ..team.config import Limits, Workdir
from ..text import one_line
from ..vitals.sampler import VitalsSampler, Watch
from .base import Body, Look

if TYPE_CHECKING:
    from .closely import CloseLooks

__all__ = ["LocalPlace"]

_LOG_TAIL: Final = 16_384
"""Bytes at the end of a log in which the reason for a crash is looked for."""


class _LocalBody:
    """A task's files; see `Body`.

    Attributes:
        process: its latest; None before the first, and after its end.
    """

    __slots__ = ("_place", "_task_id", "_workdir", "process")

    placement = None
    place_name = node = ""
    waits_for = ""
    is_wanted = False

    def __init__(self, place: LocalPlace, task_id: str, workdir: Workdir) -> None:
        self._place = place
        self._task_id = task_id
        self._workdir = workdir
        self.process: ActorProcess | None = None

    @property
    def capture(self) -> str:
        """See `Body`."""
        return f"{self._place.logs}/{self._task_id}.log"

    @property
    def own_folder(self) -> str:
        """See `Body`."""
        match self._workdir:
            case "shared":
                return ""
            case "private":
                return str(self._place.folder.work / self._task_id)
            case "worktree":
                return str(worktree_folder(self._place.folder.path, self._task_id))

    @property
    def result_file(self) -> str:
        """See `Body`."""
        return self._place.folder.result(self._task_id)

    @property
    def items_file(self) -> str:
        """See `Body`."""
        return self._place.folder.items(self._task_id)

    @property
    def pid(self) -> int | None:
        """See `Body`."""
        return self.process.pid if self.process is not None else None

    def begin(self, process: ActorProcess) -> None:
        """See `Body`."""
        self.process = process

    def present_folder(self) -> str:
        """See `Body`. A worktree with nothing new is removed soon after the end."""
        folder = self.own_folder
        return folder if folder and is_folder(folder) else ""

    def result_fault(self, most: int) -> str:
        """See `Body`. It is not opened: a host that has no descriptor left must not lose a result for it."""
        try:
            length = length_of(self.result_file)
        except OSError as error:
            return f"its result cannot be read: {error.strerror or error}"
        return f"its result has {size(length)}, more than max_result ({size(most)})" if length > most else ""

    def bound_log(self) -> None:
        """See `Body`."""
        bound_log(self.capture)

    def log_tail(self) -> str:
        """See `Body`."""
        return log_tail(self.capture, _LOG_TAIL)

    def release(self) -> None:
        """See `Body`."""
        self.process = None
        if self._workdir == "worktree":
            self._place.worktrees.ended(Path(self.own_folder))


class LocalPlace:
    """See the module, and `Place`.

    Args:
        folder: of the run.
        worktrees: is told of worktrees whose tasks have ended.
    """

    def __init__(self, folder: RunFolder, worktrees: WorktreeKeeper) -> None:
        self.folder = folder
        self.logs = folder.log
        self.worktrees = worktrees
        self._watched: dict[str, Watch] = {}
        self._looks: CloseLooks | None = None
        self._sampler = VitalsSampler(lambda: dict(self._watched))

    def body(self, task_id: str, workdir: Workdir, place: str = "", near: Body | None = None) -> Body:
        """See `Place`."""
        del place, near
        return _LocalBody(self, task_id, workdir)

    def watch(
        self, task_id: str, body: Body, process: ActorProcess, limits: Limits, reached: Callable[[str], None]
    ) -> None:
        """See `Place`."""
        self._watched[task_id] = Watch(lambda: process.pid, body.capture, limits, reached)
        self._sampler.task_started(limits)

    def forget(self, task_id: str) -> None:
        """See `Place`."""
        self._watched.pop(task_id, None)

    def latest(self, task_id: str) -> Vitals | None:
        """See `Place`."""
        return self._sampler.latest(task_id)

    def watched(self) -> None:
        """See `Place`."""
        self._sampler.watched()

    def samples(self, task_id: str) -> list[Sample]:
        """See `Place`."""
        return self._sampler.samples(task_id)

    def take_peak(self, task_id: str) -> int:
        """See `Place`."""
        return self._sampler.take_peak(task_id)

    def look_closely(
        self, body: Body, done: Callable[[Look], None], *, with_stack: bool, dump_at: int | None = None
    ) -> None:
        """See `Place`."""
        process = body.process if isinstance(body, _LocalBody) else None
        self._close_looks().look(process, body.capture, done, with_stack=with_stack, dump_at=dump_at)

    def look_back(
        self, task_id: str, continued: str, limit: int | None, done: Callable[[TaskView | None], None]
    ) -> None:
        """See `Place`."""
        from .former import former_task  # noqa: PLC0415 - few tasks are continued

        root = self.folder.path.parent
        self._close_looks().look_back(lambda: former_task(root, task_id, continued, limit), done)

    def nodes(self, done: Callable[[list[NodeView]], None]) -> None:
        """See `Place`; there is no machine beside the host's own."""
        done([])

    def drain(self, name: str, *, stop: bool, done: Callable[[str], None]) -> None:
        """See `Place`."""
        del stop
        done(f"There is no node {one_line(name, 100)!r}: all tasks of this runtime run on the host's own machine.")

    def _close_looks(self) -> CloseLooks:
        if self._looks is None:
            from .closely import CloseLooks  # noqa: PLC0415 - few tasks are silent, or continued

            self._looks = CloseLooks()
        return self._looks

    @property
    def is_watching(self) -> bool:
        """See `Place`."""
        return bool(self._watched)

    def gets_on(self) -> bool:
        """See `Place`."""
        return self._sampler.gets_on()

    def mend(self) -> None:
        """See `Place`."""
        self._sampler.mend()

    def close(self) -> None:
        """See `Place`."""
        self._sampler.close()
        if self._looks is not None:
            self._looks.close()
