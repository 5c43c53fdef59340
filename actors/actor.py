"""ProcessActor: to processes what `pykka.ThreadingActor` is to threads.

In the host `start` makes a *shell*, which gives the `ActorRef` and the proxies something to hold. The actor's own
process makes the instance, which has a `Life` there. Constructor, hooks and message handlers run there, on the main
thread. None of them ever runs in the host. A class that is called instead of started gives an ordinary object without a
process, for a test of its methods.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from concurrent.futures import Future
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

import msgspec
import pykka
from pykka import messages
from pykka._envelope import Envelope

from .errors import SubactorsError
from .interrupts import result_of
from .wire.messages import OWN_ATTRIBUTES, Attribute, ErrorData, Interface
from .wire.reply import ReplyFuture

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from pykka._actor import ActorInbox

    from .child.actor_life import Life
    from .child.channel import ChildChannel
    from .host.exit import ProcessExit
    from .host.process import ActorProcess
    from .host.system import ProcessSystem

__all__ = ["ProcessActor", "ProcessRef", "StopsAtOnce", "SupervisorRef"]

logger = logging.getLogger("subactors.actors")

A = TypeVar("A", bound=pykka.Actor)


class ProcessActor(pykka.Actor):
    """An actor in an operating-system process of its own.

    Use it like `pykka.ThreadingActor`: subclass it, `start` it, and talk to it through the `ActorRef` or a proxy.
    `__init__`, `on_start`, `on_receive`, `on_stop` and `on_failure` run in the actor's process, on its main thread.
    Messages to the actor are pickled. It answers plain data, because the host never unpickles what a child sends: None,
    bool, int, float, str, bytes, lists and dicts of these; dataclasses arrive as dicts.

    Pending asks of an actor whose process dies raise `pykka.ActorDeadError` at once, with the cause.
    """

    system: ClassVar[ProcessSystem | None] = None
    """The process system that `start` uses; None means one for the whole host, made at first use."""

    # What is ours on a user's class is prefixed, so that it cannot clash with the user's names.
    _subactors_life: Life | None = None
    """The actor's life in its process; set before the constructor runs."""

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> ProcessRef[Self]:
        """Start the actor in a new process and return when its constructor has returned there.

        Runs in the calling thread of the host. Arguments are pickled.

        Raises:
            Exception: what the constructor raised, if its type is one of Python's own; else RemoteError.
            StartError: the process ended before the constructor returned.
            UnsupportedPlatformError: not on this operating system.
        """
        from .host.default import default_system  # noqa: PLC0415 - an actor's process, which starts none, has no use for it

        system = cls.system or default_system()
        listener = _Unsupervised()
        process = system.spawn(cls, args, kwargs, listener=listener)
        try:
            result_of(process.ready)
        except BaseException:
            process.kill()  # an interrupt of the waiting, as by Ctrl-C, must not leave an actor that nobody knows of
            raise
        finally:
            del process  # it holds what is raised, and that this call
        return cast("ProcessRef[Self]", listener.reference)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        if self._subactors_life is None:
            super().__init__()
            return  # made directly: there is no process, and the mailbox refuses messages
        # What the constructor of `pykka.Actor` sets; that one makes an URN and a mailbox, which are not wanted.
        self.actor_urn = self._subactors_life.urn
        self.actor_inbox = self._subactors_life.mailbox
        self.actor_stopped = threading.Event()
        self._actor_ref = pykka.ActorRef(self)

    @property
    def supervisor(self) -> SupervisorRef:
        """The way to the supervisor of this actor; to be used in the actor's process only, from any thread."""
        if self._subactors_life is None:
            raise TypeError("Only the actor itself, in its process, can talk to its supervisor.")
        return SupervisorRef(self._subactors_life.channel)

    def on_stop_requested(self) -> None:
        """Hook: a stop has arrived, and messages that came before it may still be waiting or at work.

        Runs in the mailbox thread of the actor's process, at once, even while the main thread handles a message. It is
        the place to make long work end early. Only where the stop came before the constructor had returned does it run
        right after that, on the main thread. The default does nothing: the stop waits its turn. If it raises, that is
        logged, and the stop goes on.
        """

    def on_arrival(self, message: object) -> bool:
        """Hook: a message has arrived whose sender waits for no answer; return whether that is all, and it was taken.

        Runs in the mailbox thread of the actor's process, at once, even while the main thread handles another message:
        the place for what long work is to hear of. The default takes nothing, and the message waits its turn. So does
        one for which the hook raises, and one that comes before the constructor has returned.
        """
        del message
        return False

    # --- pykka's implementor's seam ---------------------------------------------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> ActorInbox:
        return _NoInbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return ReplyFuture()

    def _start_actor_loop(self) -> None:
        raise NotImplementedError("A ProcessActor's loop is started by its process.")

    @classmethod
    def _subactors_shell(cls) -> _Shell:
        """Return what stands for an actor of this class in the host."""
        return _Shell(cls)

    # --- in the actor's process -------------------------------------------------------------------------------------

    def _actor_loop_setup(self) -> None:
        super()._actor_loop_setup()
        assert self._subactors_life is not None  # noqa: S101 - this runs in the actor's process only
        self._subactors_life.announce()

    def _handle_receive(self, message: Any) -> Any:
        life = self._subactors_life
        assert life is not None  # noqa: S101 - the same
        try:
            answer = super()._handle_receive(message)
            life.channel.end_fork(None)
        except BaseException as error:
            life.channel.end_fork(error)
            if not isinstance(error, Exception):  # SystemExit and the like end the actor without pykka's failure hook
                life.fail(error)
                # pykka holds the exception to the end, and with it what its frames hold. A generator in the middle of a
                # `try`, or a file, would never be closed.
                clear_frames(error.__traceback__)
            raise
        else:
            return answer
        finally:
            life.announce()

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exception_value is not None and self._subactors_life is not None:
            self._subactors_life.fail(exception_value)
        super()._handle_failure(exception_type, exception_value, traceback)


class _Shell:
    """What stands for an actor in its host: gives the `ActorRef` and the proxies something to hold.

    It is no instance of the actor's class, but says that it is one: proxies find there what can be called.
    """

    # What proxies find on it is the actor's, so what is its own begins with an underscore, but for what pykka wants.

    def __init__(self, actor_class: type[ProcessActor]) -> None:
        self._actor_class = actor_class
        self._learned: frozenset[str] = frozenset()
        self.actor_urn = uuid.uuid4().urn
        self.actor_stopped = threading.Event()

    @property  # type: ignore[misc]  # see above
    def __class__(self) -> type[ProcessActor]:  # type: ignore[override]
        return self._actor_class

    def __getattr__(self, name: str) -> Any:
        # Proxies look into what can be traversed, where the class has it.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._actor_class, name)

    def __str__(self) -> str:
        return f"{self._actor_class.__name__} ({self.actor_urn})"

    @property
    def actor_ref(self) -> pykka.ActorRef[Any]:
        """The reference to the actor."""
        return self._actor_ref

    def _subactors_attach(self, process: ActorProcess) -> None:
        self.actor_inbox = _ChannelInbox(process)
        self._actor_ref: ProcessRef[Any] = ProcessRef(self)

    def _subactors_learn(self, attributes: Interface) -> None:
        """Take over the names of all the real actor's attributes, for proxies to find. Runs in the I/O thread."""
        learned = {
            name: _placeholder(attribute)
            for name, attribute in attributes.items()
            if not name.startswith("_") and name not in OWN_ATTRIBUTES
        }
        # Those of earlier announcements go, so that an actor cannot fill the host with ever new names.
        for name in self._learned - learned.keys():
            del self.__dict__[name]
        self.__dict__.update(learned)
        self._learned = frozenset(learned)


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


class ProcessRef(pykka.ActorRef[A]):
    """A reference to an actor, in its host. In the actor's process there is `multiprocessing.current_process()`."""

    @property
    def process(self) -> ActorProcess:
        """The actor's process, as one of `multiprocessing`; also when it has ended."""
        assert isinstance(self.actor_inbox, _ChannelInbox)  # noqa: S101 - it is made with one
        return self.actor_inbox.process


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
        self.process = process
        self._owner = os.getpid()

    def put(self, envelope: Envelope[Any], /) -> None:
        if os.getpid() != self._owner:
            raise SubactorsError(
                "This process was forked from the one that started the actor, and cannot use it. Start one here."
            )
        if isinstance(envelope.message, messages._ActorStop):  # noqa: SLF001 - pykka keeps its stop message private
            self.process.stop(envelope.reply_to)
        elif envelope.reply_to is None:
            self.process.tell(envelope.message)
        else:
            self.process.ask(envelope.message, envelope.reply_to)


class _Unsupervised:
    """The listener of an actor that was started without a supervisor.

    Attributes:
        reference: to the actor, for who has started it; there when the process is ready.
    """

    reference: pykka.ActorRef[Any]

    def process_ready(self, process: ActorProcess) -> None:
        """Keep the reference, which the process lets go of when it has ended: that may be soon."""
        self.reference = process.actor.actor_ref

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
            logger.warning("%s: its process %s", str(process), end)  # the text, as who keeps a record keeps all in it


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
