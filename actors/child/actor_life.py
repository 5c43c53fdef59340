"""Actor life: what an actor has in its own process beside its class: the mailbox, and the word to its host.

Made before the actor, whose constructor may already be waiting for an answer. It must never have the mailbox thread
run the actor's message handlers.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import queue
import sys
import threading
from typing import Any, Final, Protocol

import pykka
from pykka import messages
from pykka._envelope import Envelope

from ..wire.messages import (
    OWN_ATTRIBUTES,
    Attribute,
    Attributes,
    ErrorData,
    Interface,
    Ready,
    Reply,
    ReplyError,
    Stopped,
    error_data,
)
from ..wire.reply import encode_reply
from .channel import ChildChannel

__all__ = ["Life"]

logger = logging.getLogger("subactors.actors")

_DEEPEST_ATTRIBUTE: Final = 10
"""Levels of traversable attributes inside one another that proxies see."""


class Living(Protocol):
    """Living: what a life needs of its actor; `ProcessActor` has it."""

    actor_urn: str
    _subactors_life: Life | None

    @property
    def actor_ref(self) -> pykka.ActorRef[Any]:
        """The reference to the actor."""
        ...

    def on_stop_requested(self) -> None:
        """Hook: a stop has arrived."""

    def on_arrival(self, message: object) -> bool:
        """Hook: a message has arrived; return whether it was taken."""
        ...

    def _actor_loop(self) -> None:
        """Handle messages until there is a stop."""


class Life:
    """The life of one actor in its process.

    Args:
        actor: the actor, before its constructor runs.
        urn: its URN, which the host has chosen.
        channel: leads to the host.

    Attributes:
        urn: see above.
        channel: see above.
        mailbox: what the actor's loop takes its messages from.
        failure: what has ended the loop; None while nothing has.
    """

    def __init__(self, actor: Living, urn: str, channel: ChildChannel) -> None:
        self.urn = urn
        self.channel = channel
        self.mailbox: queue.SimpleQueue[Envelope[Any]] = queue.SimpleQueue()
        self.failure: ErrorData | None = None
        self._actor = actor
        self._announced: set[str] = set()
        self._stop_lock = threading.Lock()
        self._constructed = self._hears = False
        self._stop_arrived = False
        actor._subactors_life = self  # noqa: SLF001 - it is there for this

    def let_actor_go(self) -> None:
        """Have life and actor no longer refer to each other, so that both are gone when nobody else needs them.

        For one whose process goes on, as after a rehearsal: what is left would stand between the objects of the next.
        """
        self._actor._subactors_life = None  # noqa: SLF001 - as above

    # --- in the mailbox thread --------------------------------------------------------------------------------------

    def deliver(self, body: bytes, ask_id: int | None) -> None:
        """Put a message in the mailbox."""
        reply_to = _ReplyToHost(self.channel, ask_id) if ask_id is not None else None
        try:
            message = pickle.loads(body)  # noqa: S301 - the host is trusted
        except Exception as error:
            if reply_to is not None:
                reply_to.fail(error)
            else:
                logger.exception("A message could not be unpickled in the actor's process; it is dropped.")
            return
        if reply_to is None and self._is_taken(message):
            return
        self.mailbox.put(Envelope(message, reply_to=reply_to))  # type: ignore[arg-type]  # has what pykka calls

    def _is_taken(self, message: object) -> bool:
        try:
            return self._hears and self._actor.on_arrival(message)
        except BaseException:  # the mailbox must go on, whatever the hook does
            logger.exception("%s: on_arrival failed; the message waits its turn.", self._actor)
            return False

    def deliver_stop(self) -> None:
        """Put a stop in the mailbox."""
        with self._stop_lock:
            self._stop_arrived = True
            constructed = self._constructed
        if constructed:
            # Before the stop: an idle actor might be gone before its hook has run.
            self._call_stop_hook()
        self.mailbox.put(Envelope(messages._ActorStop()))  # noqa: SLF001 - pykka keeps its stop message private

    def _call_stop_hook(self) -> None:
        try:
            self._actor.on_stop_requested()
        except BaseException:  # the mailbox must go on, whatever the hook does
            logger.exception("%s: on_stop_requested failed; the stop goes on.", self._actor)

    # --- on the main thread -----------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Be the actor: from `Ready` to `Stopped`."""
        actor = self._actor
        pykka.ActorRegistry.register(actor.actor_ref)
        attributes = _interface(actor)
        self._announced = set(actor.__dict__)
        self._hears = True  # before the host is told, which may have something to say at once
        self.channel.send(Ready(attributes))
        with self._stop_lock:
            self._constructed = True
            stop_arrived = self._stop_arrived
        if stop_arrived:
            self._call_stop_hook()
        actor._actor_loop()  # noqa: SLF001 - pykka's seam for implementors
        self.channel.send(Stopped(self.failure))

    def fail(self, error: BaseException) -> None:
        """Take note of what ends the actor's loop."""
        self.failure = error_data(error)

    def announce(self) -> None:
        """Tell the host of attributes that are new."""
        actor = self._actor
        if actor.__dict__.keys() - self._announced - OWN_ATTRIBUTES:
            attributes = _interface(actor)
            if attributes.keys() - self._announced:
                self.channel.send(Attributes(attributes))
            self._announced = set(actor.__dict__)


class _ReplyToHost:
    """Address of one ask's answer: pykka's `reply_to`, in the actor's process. Good for one use."""

    def __init__(self, channel: ChildChannel, ask_id: int) -> None:
        self._channel = channel
        self._ask_id = ask_id

    def set(self, value: Any = None) -> None:
        """Answer; raises PlainDataError for what is not plain data, which pykka then hands to `set_exception`."""
        self._channel.send(Reply(self._ask_id, encode_reply(value)))

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with the exception given, or the one being handled."""
        error = (exc_info or sys.exc_info())[1]
        assert error is not None  # noqa: S101 - pykka calls this in an except clause
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Answer with an exception."""
        self._channel.send(ReplyError(self._ask_id, error_data(error)))


def _interface(actor: Living) -> Interface:
    """Describe the attributes that an instance has of its own; the class is known in the host."""
    described: Interface = {}
    for name, value in list(vars(actor).items()):
        if not name.startswith("_") and name not in OWN_ATTRIBUTES and not _is_proxy_to(value, actor):
            described[name] = _describe(value)
    return described


def _is_proxy_to(value: object, actor: Living) -> bool:
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
