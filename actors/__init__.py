"""Actors in operating-system processes: pykka's model, with a zygote, a typed wire and supervision.

This package knows nothing of agents, models or tasks. Importing it starts nothing.

General layout. A room imports only rooms above it in this list (`tests/test_layers.py` holds it). Public is what the
`__all__` of this package, of `interrupts`, `regular_files` and `fence` say.

    errors.py         the errors of this layer
    interrupts.py     waits that Ctrl-C ends (public)
    regular_files.py  opens files where tasks can put something else in their place (public)
    restart.py        restart policies
    wire/             messages between host, zygote and child
    linux/            what is asked of the kernel
    fence.py          keeps processes from each other (public)
    child/            an actor's process: its life from the fork to its exit
    host/             the host's side of processes: system, process, channel, the I/O thread
    actor.py          `ProcessActor`: its shell in the host, the actor in the child
    children.py       what a supervisor knows of a child, and hears of it
    supervisor.py     `Supervisor`: starts, watches and stops process actors
    zygote/           the program that forks actors' processes
"""

from .actor import ProcessActor, SupervisorRef
from .children import Child, ChildSpec, ReplyAddress, StartChild, StopChild
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
from .host.io import READ, WRITE, Timer
from .host.process import ActorProcess, ProcessListener
from .host.system import ProcessSystem
from .host.zygote import environment
from .linux.cgroup import CgroupTree
from .linux.kernel import check_platform, open_standard_descriptors, silenced
from .linux.mark import MARK
from .restart import NEVER, Again, GiveUp, Restart, RestartHistory, RestartPolicy, decide
from .supervisor import Supervisor
from .wire.frames import encode_plain
from .wire.messages import ErrorData, GroupUse, ProcessLimits
from .wire.objects import encode_by_name, encode_by_value, encode_object
from .wire.value_count import MOST_VALUES

__all__ = [
    "MARK",
    "MOST_VALUES",
    "NEVER",
    "READ",
    "WRITE",
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
    "encode_by_name",
    "encode_by_value",
    "encode_object",
    "encode_plain",
    "environment",
    "open_standard_descriptors",
    "silenced",
]
