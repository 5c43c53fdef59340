"""Node place: how a task comes to one of the nodes of a place (`roster`), and what it leaves there comes home.

`spawn` is for the supervisor's thread, as all that `Place` asks; nodes are dealt with in the I/O thread. A task that
no node can take yet waits, and its process is `starting` meanwhile; one that no node will ever take has failed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ...actors import (
    ActorProcess,
    NodeLink,
    ProcessLimits,
    ProcessListener,
    ProcessSystem,
    ProtocolError,
    RemoteProcess,
    spawn_elsewhere,
)
from ..place.base import Body, Look
from ..runs.folder import RunFiles
from ..tasks.nodes import NodeView
from ..tasks.spec import TaskSpec
from ..tasks.views import Vitals
from ..tasks.watching import Sample
from ..team.config import Limits, Workdir
from ..team.places import PlaceConfig, Resources, SshPlace
from .booking import Booking
from .files import bring_home
from .messages import CodeSent, HoldLimits, Left
from .news import News, keep_log
from .remote_body import RemoteBody, own_folder, split
from .roster import OTHERS, Roster

if TYPE_CHECKING:
    from ...actors import ProcessActor
    from ..place.local import LocalPlace
    from .launcher import Booker, Launcher, NodeFound

__all__ = ["NodePlace"]

_LAST_WORDS: Final = 2.0
"""Seconds for which a node whose connection has ended is not given up: ssh, its agent by it, or a relay may say why."""

_left: Final = msgspec.msgpack.Decoder(Left)


class _Start(msgspec.Struct, frozen=True):
    """A process that is to be started on some node."""

    process: RemoteProcess
    body: RemoteBody
    actor_class: type[ProcessActor]
    spec: TaskSpec
    limits: ProcessLimits | None


class NodePlace:
    """See the module, and `Place` and `Placement`.

    Args:
        config: of the place.
        launcher: finds its nodes.
        booker: books resources of them; None: nobody does.
        resources: what each task of an agent books, by the agent's name.
        system: of the host.
        home: the host's own machine, where what a task leaves is kept.
        setup: what each node is told first, encoded.
        code: archives of modules that a node may ask for, by their names.
        most_result: bytes that the result of a task may have.
        working_directory: of the runtime; empty: the host's current one.

    Attributes:
        name: of the place.
        why_none: see `BodysPlace`.
    """

    def __init__(
        self,
        config: PlaceConfig,
        launcher: Launcher,
        *,
        booker: Booker | None,
        resources: Mapping[str, Resources],
        system: ProcessSystem,
        home: LocalPlace,
        setup: bytes,
        code: Mapping[str, bytes],
        most_result: int,
        working_directory: str,
    ) -> None:
        self.name = config.name
        self._config = config
        self._launcher = launcher
        self._booker = booker
        self._resources = resources
        self._system = system
        self._home = home
        self._setup = setup
        self._code = code
        self._have_code = weakref.WeakSet[NodeLink]()
        self._most_result = most_result
        self._working_directory = working_directory
        self._roster = Roster(config)
        self.why_none = ""
        self._waiting: list[_Start] = []
        self._has_left = False
        self._news = News(lambda task_id: home.body(task_id, "shared").capture, self._send_code)

    def begin(self) -> None:
        """Look for nodes from now on; returns at once."""
        self._launcher.begin(
            lambda found: self._system.call(lambda: self._on_found(found)),
            lambda name, why, final: self._system.call(lambda: self._on_lost(name, why, is_final=final)),
            lambda sentence, is_last: self._system.call(lambda: self._on_trouble(sentence, is_last=is_last)),
            lambda name: self.drain(name, stop=False, done=_ignore),
            lambda name: self._system.call(lambda: self._roster.note_coming(name)),
        )

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
        process = spawn_elsewhere(self._system, actor_class, listener=listener, fenced=fenced)
        start = _Start(process, body, actor_class, spec, limits)
        self._system.call(lambda: self._begin(start))
        return process

    def give_back(self, booking: Booking) -> None:
        """Give back what a task has booked. In any thread."""
        self._system.call(booking.give_back)

    # --- Place ------------------------------------------------------------------------------------------------------

    def body(self, task_id: str, workdir: Workdir, near: Body | None) -> RemoteBody:
        """See `Place`."""
        return RemoteBody(self, self._home.body(task_id, "shared"), task_id, workdir, near)

    def watch(
        self, task_id: str, body: Body, process: ActorProcess, limits: Limits, reached: Callable[[str], None]
    ) -> None:
        """See `Place`. The node looks; it is told what to hold the task to."""
        del body
        self._news.expect(task_id, reached)
        if isinstance(process, RemoteProcess) and process.node is not None:
            process.node.order(HoldLimits(task_id, limits))

    def forget(self, task_id: str) -> None:
        """See `Place`."""
        self._news.forget(task_id)

    def latest(self, task_id: str) -> Vitals | None:
        """See `Place`."""
        return self._news.latest(task_id)

    def samples(self, task_id: str) -> list[Sample]:
        """See `Place`."""
        return self._news.samples(task_id)

    def take_peak(self, task_id: str) -> int:
        """See `Place`."""
        return self._news.take_peak(task_id)

    def look_closely(
        self, body: RemoteBody, done: Callable[[Look], None], *, with_stack: bool, dump_at: int | None
    ) -> None:
        """See `Place`. One of a node that is lost meanwhile is not answered: its task ends."""
        node = body.link
        if node is None:
            done(Look(missing="It has no process yet.", is_put_off=True))
        else:
            self._news.ask_to_look(node, body.task_id, done, with_stack=with_stack, dump_at=dump_at)

    def nodes(self, done: Callable[[list[NodeView]], None]) -> None:
        """See `Place`."""
        self._system.call(lambda: done(self._roster.views(self._news.available)))

    def drain(self, name: str, *, stop: bool, done: Callable[[str], None]) -> None:
        """See `Place`; says that there is no such node here by a text that is the place's name alone."""
        self._system.call(lambda: done(self._drain(name, stop=stop)))

    def leave(self) -> None:
        """Have all nodes end what they have, and their agents. Bounded; not for the I/O thread."""
        self._system.call(self._leave)
        self._launcher.close()

    def is_wanted(self, node: str) -> bool:
        """See `BodysPlace`."""
        return bool(self._waiting) or node in self._roster.draining

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def _begin(self, start: _Start) -> None:
        body, resources = start.body, self._resources.get(start.spec.agent)
        if body.booking is not None:
            body.booking.renew()
        elif self._booker is not None and resources is not None:
            body.booking = Booking(
                self._booker, resources, lambda: self._roster.draining, self._system.call, self._take_waiting
            )
        self._take(start, len(self._waiting) + 1)

    def _take(self, start: _Start, waiting: int) -> None:
        """Start it, have it fail, or have it wait, as one of so many that want a node."""
        if start.process.end is not None:
            return
        body = start.body
        if body.booking is not None:
            link = self._roster.booked(body.booking.node)
            if body.booking.node in self._roster.draining:
                body.booking.renew()
        else:
            # A folder that it goes on with is on one node; another has a new one for it.
            former = split(start.spec.former_folder)[0]
            preferred = (former, body.near.node if body.near is not None else "")
            link = self._roster.choose(preferred, waiting=waiting)
        if link is not None:
            self._start(start, link)
        elif self._roster.is_hopeless or self._has_left:
            start.process.on_start_failed(self._roster.no_node())
        else:
            self._waiting.append(start)

    def _take_waiting(self) -> None:
        """Start what waits, as far as there is room now; it fails where no node can come."""
        self.why_none = self._roster.why_none
        waiting, self._waiting = self._waiting, []
        for taken, start in enumerate(waiting):
            self._take(start, len(self._waiting) + len(waiting) - taken)

    def _start(self, start: _Start, link: NodeLink) -> None:
        spec = start.spec
        shared = self._config.workdir or spec.working_directory or self._working_directory or str(Path.cwd())
        own = own_folder(link, spec.workdir, spec.id)
        node, folder = split(spec.former_folder)
        former = folder if node == link.name else ""
        variables = {**spec.variables, **start.body.booking.variables} if start.body.booking else spec.variables
        spec = msgspec.structs.replace(
            spec,
            working_directory="",
            own_folder=own,
            former_folder=former,
            variables=variables,
            place=self.name,
        )
        try:
            link.start(
                start.process,
                (start.actor_class, (spec,), {}),
                label=spec.id,
                directory=link.folder if spec.workdir == "private" else shared,
                capture=f"{RunFiles(Path(link.folder)).log}/{spec.id}.log",
                limits=start.limits,
            )
        except Exception as error:  # noqa: BLE001 - whatever an object raises that is pickled; it is this task's fault
            start.process.on_start_failed(f"what it starts with could not be sent: {error}")

    def _drain(self, name: str, *, stop: bool) -> str:
        link = self._roster.drain(name)
        if name not in self._roster.draining:
            return self.name
        self._take_waiting()  # where this was the last node, they fail, or say why they wait
        if stop and link is not None:
            for process in [*link.processes.values()]:
                process.expel(f"node {name} was drained")
        return ""

    def _on_found(self, found: NodeFound) -> None:
        if self._has_left:
            self._launcher.release(found.name)
            return
        link = NodeLink(
            found.name,
            found.address,
            found.token,
            found.control,
            setup=self._setup,
            io=self._system.io,
            listener=self,
            last_words=_LAST_WORDS if found.line != "plain" else 0.0,
        )
        self._roster.add(link, found)
        self.why_none = self._roster.why_none
        link.begin()

    def _on_lost(self, name: str, why: str, *, is_final: bool) -> None:
        self._roster.note_ended(name, why, is_final=is_final)
        self._take_waiting()

    def _on_trouble(self, sentence: str, *, is_last: bool) -> None:
        self._roster.note_trouble(sentence, is_last=is_last)
        self._take_waiting()

    def _leave(self) -> None:
        self._has_left = True
        for link in [*self._roster.links.values()]:
            link.leave()

    def node_serving(self, node: NodeLink) -> None:
        """See `NodeListener`."""
        if self._roster.note_serving(node.name):
            self._system.call_later(OTHERS, self._take_waiting)  # what others were to have that have not come
        self._take_waiting()

    def node_said(self, node: NodeLink, body: bytes) -> None:
        """See `NodeListener`."""
        self._news.hear(node, body)

    def _send_code(self, node: NodeLink, names: tuple[str, ...]) -> None:
        if node in self._have_code or not self._code.keys() >= {*names}:
            raise ProtocolError("that it wants modules which it is not to have, or has")
        self._have_code.add(node)
        for name in dict.fromkeys(names):
            node.order(CodeSent(self._code[name]))

    def process_left(self, node: NodeLink, process: RemoteProcess, left: bytes, done: Callable[[], None]) -> None:
        """See `NodeListener`."""
        try:
            what = _left.decode(left)
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"what a process has left that fits no declared type: {error}") from error
        task_id = process.label
        self._news.note_peak(task_id, what.peak)
        body = self._home.body(task_id, "shared")
        if what.log or not what.log_size:
            keep_log(body.capture, 0, what.log)
        if what.result_size < 0 and what.log_size <= len(what.log):
            done()
        else:
            bring_home(node, task_id, what, body, most=self._most_result, done=lambda: self._system.call(done))

    def node_has_room(self, node: NodeLink) -> None:
        """See `NodeListener`."""
        del node
        if self._waiting:
            self._take_waiting()

    def node_lost(self, node: NodeLink, why: str) -> None:
        """See `NodeListener`."""
        self._roster.note_lost(node, why)
        for start in self._waiting:
            if start.body.booking is not None and start.body.booking.node == node.name:
                start.body.booking.renew()
        self._launcher.release(node.name)
        if not isinstance(self._config, SshPlace):  # of those the launcher says why, in a moment
            self._take_waiting()


def _ignore(refused: str) -> None:
    """Nobody waits for what becomes of it."""
