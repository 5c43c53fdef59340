"""Places: the host's own machine, and those that a team has besides, as one place to the supervisor; see `Place`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...actors import ActorProcess
from ..place.base import Body, Look
from ..place.local import LocalPlace
from ..tasks.nodes import NodeView
from ..tasks.views import TaskView, Vitals
from ..tasks.watching import Sample
from ..team.config import Limits, Workdir
from ..text import one_line
from .place import NodePlace
from .remote_body import RemoteBody

__all__ = ["Places"]


class Places:
    """See the module, and `Place`.

    Args:
        here: the host's own machine.
        others: the others, by their names.
    """

    def __init__(self, here: LocalPlace, others: Mapping[str, NodePlace]) -> None:
        self._here = here
        self._others = others
        self._placed: dict[str, NodePlace] = {}

    def body(self, task_id: str, workdir: Workdir, place: str = "", near: Body | None = None) -> Body:
        """See `Place`."""
        other = self._others.get(place)
        if other is None:
            return self._here.body(task_id, workdir)
        self._placed[task_id] = other
        return other.body(task_id, workdir, near)

    def watch(
        self, task_id: str, body: Body, process: ActorProcess, limits: Limits, reached: Callable[[str], None]
    ) -> None:
        """See `Place`."""
        (self._placed.get(task_id) or self._here).watch(task_id, body, process, limits, reached)

    def forget(self, task_id: str) -> None:
        """See `Place`."""
        (self._placed.get(task_id) or self._here).forget(task_id)

    def latest(self, task_id: str) -> Vitals | None:
        """See `Place`."""
        return (self._placed.get(task_id) or self._here).latest(task_id)

    def watched(self) -> None:
        """See `Place`; nodes tell once a second as it is."""
        self._here.watched()

    def samples(self, task_id: str) -> list[Sample]:
        """See `Place`."""
        return (self._placed.get(task_id) or self._here).samples(task_id)

    def take_peak(self, task_id: str) -> int:
        """See `Place`; the last that is asked of a task."""
        return (self._placed.pop(task_id, None) or self._here).take_peak(task_id)

    def look_closely(
        self, body: Body, done: Callable[[Look], None], *, with_stack: bool, dump_at: int | None = None
    ) -> None:
        """See `Place`."""
        if isinstance(body, RemoteBody):
            self._others[body.place.name].look_closely(body, done, with_stack=with_stack, dump_at=dump_at)
        else:
            self._here.look_closely(body, done, with_stack=with_stack, dump_at=dump_at)

    def look_back(
        self, task_id: str, continued: str, limit: int | None, done: Callable[[TaskView | None], None]
    ) -> None:
        """See `Place`."""
        self._here.look_back(task_id, continued, limit, done)

    def nodes(self, done: Callable[[list[NodeView]], None]) -> None:
        """See `Place`."""
        others, found = list(self._others.values()), list[NodeView]()

        def take(views: list[NodeView]) -> None:
            found.extend(views)
            if others:
                others.pop(0).nodes(take)
            else:
                done(found)

        take([])

    def drain(self, name: str, *, stop: bool, done: Callable[[str], None]) -> None:
        """See `Place`."""
        others, answers = list(self._others.values()), list[str]()
        where = f"place {others[0].name}" if len(others) == 1 else f"the places {', '.join(self._others)}"

        def take(refused: str) -> None:
            answers.append(refused)
            if len(answers) == len(others):
                done(f"There is no node {one_line(name, 100)!r} of {where} now." if all(answers) else "")

        for place in others:
            place.drain(name, stop=stop, done=take)

    @property
    def is_watching(self) -> bool:
        """See `Place`."""
        return self._here.is_watching

    def gets_on(self) -> bool:
        """See `Place`; each node sees to its own."""
        return not self._here.is_watching or self._here.gets_on()

    def mend(self) -> None:
        """See `Place`."""
        self._here.mend()

    def leave(self) -> None:
        """Have all nodes end what they have, and their agents. Bounded; not for the I/O thread."""
        for place in self._others.values():
            place.leave()

    def close(self) -> None:
        """See `Place`."""
        self._here.close()
