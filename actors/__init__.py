"""Actors in operating-system processes: pykka's model, with a zygote, a typed wire and supervision.

This package knows nothing of agents, models or tasks. Importing it starts nothing.
"""

from .actor import ProcessActor, SupervisorRef
from .errors import (
    ForkedError,
    PlainDataError,
    ProtocolError,
    RemoteError,
    StartError,
    SubactorsError,
    UnsupportedPlatformError,
)
from .host.exit import ProcessExit
from .host.io import Timer
from .host.process import ActorProcess, ProcessListener
from .host.system import ProcessSystem
from .linux.cgroup import CgroupTree
from .linux.kernel import check_platform, open_standard_descriptors
from .restart import NEVER, Again, GiveUp, Restart, RestartHistory, RestartPolicy, decide
from .supervisor import Child, ChildSpec, ReplyAddress, StartChild, StopChild, Supervisor
from .wire.messages import ErrorData, GroupUse, ProcessLimits

__all__ = [
    "NEVER",
    "ActorProcess",
    "Again",
    "CgroupTree",
    "Child",
    "ChildSpec",
    "ErrorData",
    "ForkedError",
    "GiveUp",
    "GroupUse",
    "PlainDataError",
    "ProcessActor",
    "ProcessExit",
    "ProcessLimits",
    "ProcessListener",
    "ProcessSystem",
    "ProtocolError",
    "RemoteError",
    "ReplyAddress",
    "Restart",
    "RestartHistory",
    "RestartPolicy",
    "StartChild",
    "StartError",
    "StopChild",
    "SubactorsError",
    "Supervisor",
    "SupervisorRef",
    "Timer",
    "UnsupportedPlatformError",
    "check_platform",
    "decide",
    "open_standard_descriptors",
]
