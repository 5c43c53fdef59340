"""Actors in operating-system processes: pykka's model, with a zygote, a typed wire and supervision.

This package knows nothing of agents, models or tasks. Importing it starts nothing.
"""

from ._actor import ProcessActor, SupervisorRef
from ._errors import (
    PlainDataError,
    ProtocolError,
    RemoteError,
    StartError,
    SubactorsError,
    UnsupportedPlatformError,
)
from ._exit import ProcessExit
from ._io import Timer
from ._process import ActorProcess, ProcessListener
from ._supervisor import Child, ChildSpec, ReplyAddress, StartChild, StopChild, Supervisor
from ._system import ProcessSystem
from ._wire import ErrorData

__all__ = [
    "ActorProcess",
    "Child",
    "ChildSpec",
    "ErrorData",
    "PlainDataError",
    "ProcessActor",
    "ProcessExit",
    "ProcessListener",
    "ProcessSystem",
    "ProtocolError",
    "RemoteError",
    "ReplyAddress",
    "StartChild",
    "StartError",
    "StopChild",
    "SubactorsError",
    "Supervisor",
    "SupervisorRef",
    "Timer",
    "UnsupportedPlatformError",
]
