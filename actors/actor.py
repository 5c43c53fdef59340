"""`ProcessActor`: to processes what `pykka.ThreadingActor` is to threads.

One class, two lives. In the host `start` makes a *shell*: an instance whose constructor never ran, that gives the
`ActorRef` and the proxies something to hold. In the actor's own process the real instance is made; constructor, hooks
and message handlers run there, on the main thread, and nothing of them ever runs in the host. A class that is called
instead of started gives an ordinary object without a process, for a test of its methods.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import threading
import uuid
from concurrent.futures import Future
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import msgspec
import pykka
from pykka import messages
from pykka._envelope import Envelope

from .errors import SubactorsError
from .host.system import ProcessSystem, default_system
from .interrupts import result_of
from .wire.messages import Attribute, Attributes, ErrorData, Interface, Ready, Reply, ReplyError, Stopped, error_data
from .wire.reply import ReplyFuture, encode_reply

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from pykka._actor import ActorInbox

    from .child.life import ChildChannel
    from .host.exit import ProcessExit
    from .host.process import ActorProcess

__all__ = ["ProcessActor", "StopsAtOnce", "SupervisorRef"]

logger = logging.getLogger("subactors.actors")


class ProcessActor(pykka.Actor):
    """An actor in an operating-system process of its own.

    Use it like `pykka.ThreadingActor`: subclass it, `start` it, and talk to it through the `ActorRef` or a proxy.
    `__init__`, `on_start`, `on_receive`, `on_stop` and `on_failure` run in the actor's process, on its main thread.
    Messages to the actor are pickled; what it answers is plain data (None, bool, int, float, str, bytes, lists and
    dicts of these; dataclasses arrive as dicts), because the host never unpickles what a child sends.

    Pending asks of an actor whose process dies raise `pykka.ActorDeadError` at once, with the cause.
    """

    system: ClassVar[ProcessSystem | None] = None
    """The process system that `start` uses; None means one for the whole host, made at first use."""

    # What is ours on an instance of a user's class begins so that the user's own names do not meet it.
    # Set before the constructor runs: by `_subactors_attach` on the shell, by `_subactors_connect` in the process.
    _subactors_process: ActorProcess | None = None
    _subactors_learned: frozenset[str] = frozenset()
    _subactors_channel: ChildChannel | None = None
    _subactors_urn: str | None = None

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> pykka.ActorRef[Self]:
        """Start the actor in a new process and return when its constructor has returned there.

        Runs in the calling thread of the host. Arguments are pickled.

        Raises:
            Exception: what the constructor raised, if its type is one of Python's own; else RemoteError.
            StartError: the process ended before the constructor returned.
            UnsupportedPlatformError: not on this operating system.
        """
        system = cls.system or default_system()
        process = system.spawn(cls, args, kwargs, listener=_Unsupervised())
        try:
            reference: pykka.ActorRef[Self] = result_of(process.ready)
        except BaseException:
            process.kill()  # an interrupt of the waiting, as by Ctrl-C, must not leave an actor that nobody knows of
            raise
        return reference

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        if self._subactors_channel is None:
            super().__init__()
            return  # made directly: there is no process, and the mailbox refuses messages
        assert self._subactors_urn is not None  # noqa: S101 - set together with the channel
        self._subactors_be(self._subactors_urn, self._subactors_arrivals)

    @property
    def supervisor(self) -> SupervisorRef:
        """The way to the supervisor of this actor; to be used in the actor's process only, from any thread."""
        if self._subactors_channel is None:
            raise TypeError("Only the actor itself, in its process, can talk to its supervisor.")
        return SupervisorRef(self._subactors_channel)

    def on_stop_requested(self) -> None:
        """Hook: a stop has arrived, and messages that came before it may still be waiting or at work.

        Runs in the mailbox thread of the actor's process, at once, even while a message is being handled on the main
        thread; it is the place to make long work end early. Only where the stop came before the constructor had
        returned does it run right after that, on the main thread. The default does nothing: the stop waits its turn.
        If it raises, that is logged, and the stop goes on.
        """

    # --- pykka's implementor's seam ---------------------------------------------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> ActorInbox:
        return _NoInbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return ReplyFuture()

    def _start_actor_loop(self) -> None:
        raise NotImplementedError("A ProcessActor's loop is started by its process.")

    def _subactors_be(self, urn: str, inbox: ActorInbox) -> None:
        """Set what the constructor of `pykka.Actor` sets; that one makes an URN and a mailbox, which are not wanted."""
        self.actor_urn = urn
        self.actor_inbox = inbox
        self.actor_stopped = threading.Event()
        self._actor_ref = pykka.ActorRef(self)

    # --- in the host: the shell -------------------------------------------------------------------------------------

    @classmethod
    def _subactors_shell(cls) -> Self:
        shell = cls.__new__(cls)
        shell.actor_urn = uuid.uuid4().urn
        return shell

    def _subactors_attach(self, process: ActorProcess) -> None:
        self._subactors_process = process
        self._subactors_be(self.actor_urn, _ChannelInbox(process))

    def _subactors_learn(self, attributes: Interface) -> None:
        """Take over the names of all the real actor's attributes, for proxies to find. Runs in the I/O thread."""
        learned = {
            name: _placeholder(attribute)
            for name, attribute in attributes.items()
            if not name.startswith("_") and name not in _OWN_ATTRIBUTES
        }
        # Those of earlier announcements go, so that an actor cannot fill the host with ever new names.
        for name in self._subactors_learned - learned.keys():
            del self.__dict__[name]
        self.__dict__.update(learned)
        self._subactors_learned = frozenset(learned)

    # --- in the actor's process -------------------------------------------------------------------------------------

    def _subactors_connect(self, urn: str, channel: ChildChannel) -> None:
        self._subactors_urn = urn
        self._subactors_channel = channel
        # The mailbox is there before the constructor runs: a message that comes early must not keep the mailbox thread
        # from handing over the answer that the constructor may be waiting for.
        self._subactors_arrivals: queue.SimpleQueue[Envelope[Any]] = queue.SimpleQueue()
        self._subactors_failure: ErrorData | None = None
        self._subactors_announced: set[str] = set()
        self._subactors_stop_lock = threading.Lock()
        self._subactors_constructed = False
        self._subactors_stop_arrived = False

    def _subactors_deliver(self, body: bytes, ask_id: int | None) -> None:
        """Put a message in the mailbox. Runs in the mailbox thread."""
        assert self._subactors_channel is not None  # noqa: S101 - set before the mailbox thread starts
        reply_to = _ReplyToHost(self._subactors_channel, ask_id) if ask_id is not None else None
        try:
            message = pickle.loads(body)  # noqa: S301 - the host is trusted
        except Exception as error:
            if reply_to is not None:
                reply_to.fail(error)
            else:
                logger.exception("A message could not be unpickled in the actor's process; it is dropped.")
            return
        self._subactors_arrivals.put(Envelope(message, reply_to=reply_to))  # type: ignore[arg-type]  # has what pykka calls

    def _subactors_deliver_stop(self) -> None:
        """Put a stop in the mailbox. Runs in the mailbox thread."""
        with self._subactors_stop_lock:
            self._subactors_stop_arrived = True
            constructed = self._subactors_constructed
        if constructed:
            # Before the stop: an idle actor might be gone before its hook has run.
            self._subactors_call_stop_hook()
        self._subactors_arrivals.put(Envelope(messages._ActorStop()))  # noqa: SLF001 - pykka keeps its stop message private

    def _subactors_call_stop_hook(self) -> None:
        try:
            self.on_stop_requested()
        except BaseException:  # the mailbox must go on, whatever the hook does
            logger.exception("%s: on_stop_requested failed; the stop goes on.", self)

    def _subactors_serve(self) -> None:
        """Be the actor: from `Ready` to `Stopped`. Runs on the main thread."""
        assert self._subactors_channel is not None  # noqa: S101 - set before the constructor ran
        pykka.ActorRegistry.register(self.actor_ref)
        attributes = _interface(self)
        self._subactors_announced = set(self.__dict__)
        self._subactors_channel.send(Ready(attributes))
        with self._subactors_stop_lock:
            self._subactors_constructed = True
            stop_arrived = self._subactors_stop_arrived
        if stop_arrived:
            self._subactors_call_stop_hook()
        self._actor_loop()
        self._subactors_channel.send(Stopped(self._subactors_failure))

    def _actor_loop_setup(self) -> None:
        super()._actor_loop_setup()
        self._subactors_announce_attributes()

    def _handle_receive(self, message: Any) -> Any:
        assert self._subactors_channel is not None  # noqa: S101 - this runs in the actor's process only
        try:
            answer = super()._handle_receive(message)
            self._subactors_channel.end_fork(None)
        except BaseException as error:
            self._subactors_channel.end_fork(error)
            if not isinstance(error, Exception):  # SystemExit and the like end the actor without pykka's failure hook
                self._subactors_failure = error_data(error)
                # pykka holds the exception to the end, and with it what its frames hold: a generator in the middle of
                # a `try`, or a file, would never be closed.
                clear_frames(error.__traceback__)
            raise
        else:
            return answer
        finally:
            self._subactors_announce_attributes()

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exception_value is not None:
            self._subactors_failure = error_data(exception_value)
        super()._handle_failure(exception_type, exception_value, traceback)

    def _subactors_announce_attributes(self) -> None:
        if self.__dict__.keys() - self._subactors_announced - _OWN_ATTRIBUTES:
            attributes = _interface(self)
            if attributes.keys() - self._subactors_announced:
                assert self._subactors_channel is not None  # noqa: S101 - this runs in the actor's process only
                self._subactors_channel.send(Attributes(attributes))
            self._subactors_announced = set(self.__dict__)


_DEEPEST_ATTRIBUTE: Final = 10
"""Levels of traversable attributes inside one another that proxies see."""

_OWN_ATTRIBUTES = frozenset({"actor_urn", "actor_inbox", "actor_stopped", "actor_ref"})


class StopsAtOnce(ProcessActor):
    """What processes that stand by rehearse with, where nothing better is known."""

    def on_start(self) -> None:
        """Stop."""
        self.stop()


class SupervisorRef:
    """An actor's way to its supervisor, from inside the actor's process. Every method may be called from any thread."""

    def __init__(self, channel: ChildChannel) -> None:
        self._channel = channel

    @property
    def captured_in(self) -> str:
        """The file that takes what the actor's process writes to descriptors 1 and 2; empty if they are the host's."""
        return os.fsdecode(self._channel.capture)

    def emit(self, text: str) -> None:
        """Say something: text that the supervisor keeps as the actor's output. Blocks while the host is behind.

        Raises ForkedError in a process that the actor's own code has forked, as `tell` and `ask` do.
        """
        self._channel.send_output(text)

    def tell(self, message: msgspec.Struct) -> None:
        """Send a report; raises PlainDataError if it cannot cross."""
        self._channel.report(message)

    def ask(self, message: msgspec.Struct) -> Future[bytes]:
        """Send a request; the future holds the encoded answer, or raises RemoteError."""
        return self._channel.request(message)

    def end_fork(self) -> None:
        """End this process if the actor's own code has forked it, and has come back as if it were the actor."""
        self._channel.end_fork(None)

    def hold(self, patience: float) -> AbstractContextManager[bool]:
        """Let no other thread say anything while the block runs, so that none is in the middle of a message.

        Waits up to `patience` seconds for one that is; the block gets whether that was enough.
        """
        return self._channel.hold(patience)


class _NoInbox:
    """The mailbox until a process has one: a message in it would wait for ever."""

    def put(self, _envelope: Envelope[Any], /) -> None:
        raise SubactorsError(
            "This actor was made by calling its class, and has no process that would read its messages. "
            "Use the class's start()."
        )

    def get(self) -> Envelope[Any]:
        raise NotImplementedError("The mailbox is read in the actor's own process.")

    def empty(self) -> bool:
        return True


class _ChannelInbox(_NoInbox):
    """The mailbox as the host sees it: what is put in goes over the channel."""

    def __init__(self, process: ActorProcess) -> None:
        self._process = process
        self._owner = os.getpid()

    def put(self, envelope: Envelope[Any], /) -> None:
        if os.getpid() != self._owner:
            raise SubactorsError(
                "This process was forked from the one that started the actor, and cannot use it. Start one here."
            )
        if isinstance(envelope.message, messages._ActorStop):  # noqa: SLF001 - pykka keeps its stop message private
            self._process.stop(envelope.reply_to)
        elif envelope.reply_to is None:
            self._process.tell(envelope.message)
        else:
            self._process.ask(envelope.message, envelope.reply_to)


class _ReplyToHost:
    """Where one ask's answer goes: pykka's `reply_to`, in the actor's process. Good for one use."""

    def __init__(self, channel: ChildChannel, ask_id: int) -> None:
        self._channel = channel
        self._ask_id = ask_id

    def set(self, value: Any = None) -> None:
        """Answer; raises PlainDataError for what is not plain data, which pykka then hands to `set_exception`."""
        self._channel.send(Reply(self._ask_id, encode_reply(value)))

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with the exception given, or the one being handled."""
        import sys  # noqa: PLC0415 - only here

        error = (exc_info or sys.exc_info())[1]
        assert error is not None  # noqa: S101 - pykka calls this in an except clause
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Answer with an exception."""
        self._channel.send(ReplyError(self._ask_id, error_data(error)))


class _Unsupervised:
    """The listener of actors that were started without a supervisor."""

    def process_ready(self, process: ActorProcess) -> None:
        """Nothing to do: whoever started it waits for the future."""

    def process_output(self, process: ActorProcess, data: bytes) -> None:
        """Without a supervisor nobody keeps output."""

    def process_report(self, process: ActorProcess, body: bytes) -> None:
        """Without a supervisor nobody takes reports."""
        del body
        process.handled()

    def process_request(self, process: ActorProcess, request_id: int, body: bytes) -> None:
        """Without a supervisor nobody answers."""
        del body
        process.refuse(request_id, ErrorData("subactors.actors.SubactorsError", "This actor has no supervisor."))
        process.handled()

    def process_finished(self, process: ActorProcess) -> None:
        """Nothing to do: the exit follows."""

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None:
        """Say in the log what nobody else will hear."""
        if not end.normal:
            logger.warning("%s: its process %s", process.actor.actor_ref, end)


def _interface(actor: ProcessActor) -> Interface:
    """Describe the attributes that an instance has of its own; the class is known in the host."""
    described: Interface = {}
    for name, value in list(vars(actor).items()):
        if not name.startswith("_") and name not in _OWN_ATTRIBUTES and not _is_proxy_to(value, actor):
            described[name] = _describe(value)
    return described


def _is_proxy_to(value: object, actor: ProcessActor) -> bool:
    """Tell whether a value is an actor's proxy to itself, which pykka's proxies do not show either."""
    return isinstance(value, pykka.ActorProxy) and value.actor_ref.actor_urn == actor.actor_urn


def _describe(value: object, above: frozenset[int] = frozenset()) -> Attribute:
    inner: dict[str, Attribute] | None = None
    traversable = (
        getattr(value, "_pykka_traversable", False) is True or getattr(value, "pykka_traversable", False) is True
    )
    # What contains itself is entered once.
    if traversable and id(value) not in above and len(above) < _DEEPEST_ATTRIBUTE:
        inner = {}
        for name in dir(value):
            if not name.startswith("_"):
                with contextlib.suppress(Exception):  # a property that fails is not part of the interface
                    inner[name] = _describe(getattr(value, name), above | {id(value)})
    return Attribute(callable(value), inner)


class _RemoteObject:
    """A stand-in for a traversable attribute."""

    _pykka_traversable = True


def _placeholder(attribute: Attribute) -> object:
    """Make something that pykka's introspection sees as what the real attribute is. Nobody ever calls it."""
    if attribute.inner is not None:
        remote = _RemoteObject()
        remote.__dict__.update({name: _placeholder(inner) for name, inner in attribute.inner.items()})
        return remote
    return _never_called if attribute.callable else None


def _never_called() -> None:
    raise AssertionError("A placeholder was called; proxies send a message instead.")
