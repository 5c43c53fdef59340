"""Shell: what a process knows of the object that stands for its actor in the host."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pykka

    from ..wire.messages import Interface

__all__ = ["Shell"]


class Shell(Protocol):
    """What stands for an actor in the host: says that it is a `ProcessActor`, and has no process's state."""

    actor_urn: str
    actor_stopped: threading.Event

    @property
    def actor_ref(self) -> pykka.ActorRef[Any]:
        """The reference to the actor."""
        ...

    def _subactors_attach(self, process: Any) -> None:
        """Send the actor's messages to this process from now on."""

    def _subactors_learn(self, attributes: Interface) -> None:
        """Take over the names of the actor's attributes. Runs in the I/O thread."""
