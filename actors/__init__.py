"""Actors in operating-system processes: pykka's model, with a zygote, a typed wire and supervision.

This package knows nothing of agents, models or tasks. Importing it starts nothing.
"""

from ._actor import ProcessActor, SupervisorRef
from ._cgroup import CgroupTree
from ._errors import (
    ForkedError,
    PlainDataError,
    ProtocolError,
    RemoteError,
    StartError,
    SubactorsError,
    UnsupportedPlatformError,
)
from ._exit import ProcessExit, ProcessListener
from ._io import Timer
from ._linux import check_platform, open_standard_descriptors
from ._process import ActorProcess
from ._restart import NEVER, Again, GiveUp, Restart, RestartHistory, RestartPolicy, decide
from ._supervisor import Child, ChildSpec, ReplyAddress, StartChild, StopChild, Supervisor
from ._system import ProcessSystem
from ._wire import ErrorData, GroupUse, ProcessLimits

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
