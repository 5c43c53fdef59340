"""Actors in operating-system processes: pykka's model, with a zygote, a typed wire and supervision.

This package knows nothing of agents, models or tasks. Importing it starts nothing.

General layout. A room imports only rooms above it in this list (`tests/test_layers.py` holds it). Public is what the
`__all__` of this package, of `interrupts`, `regular_files` and `fence` say.

    errors.py         the errors of this layer
    interrupts.py     waits that Ctrl-C ends (public)
    regular_files.py  opens files where tasks can put something else in their place (public)
    restart.py        restart policies
    late_import.py    hears of the first import of `multiprocessing`
    wire/             messages between host, zygote and child
    linux/            what is asked of the kernel
    fence.py          keeps processes from each other (public)
    child/            an actor's process: its life from the fork to its exit
    host/             the host's side of processes: system, process, channel, the I/O thread
    context/          a `multiprocessing` context on the zygote
    actor.py          `ProcessActor`: its shell in the host, the actor in the child
    children.py       what a supervisor knows of a child, and hears of it
    supervisor.py     `Supervisor`: starts, watches and stops process actors
    zygote/           the program that forks actors' processes
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from .actor import ProcessActor, ProcessRef, SupervisorRef
from .errors import (
    ForkedError,
    PlainDataError,
    ProtocolError,
    RemoteError,
    StartError,
    SubactorsError,
    UnsupportedPlatformError,
)
from .linux.kernel import check_platform, open_standard_descriptors, silenced
from .linux.mark import MARK
from .restart import NEVER, Again, GiveUp, Restart, RestartHistory, RestartPolicy, decide
from .wire.frames import encode_plain
from .wire.messages import ErrorData, GroupUse, ProcessLimits
from .wire.objects import encode_by_name, encode_by_value, encode_object
from .wire.value_count import MOST_VALUES

if TYPE_CHECKING:
    from .children import Child, ChildSpec, ReplyAddress, StartChild, StopChild
    from .context.zygote_context import ZygoteContext, get_context
    from .host.exit import ProcessExit
    from .host.io import READ, WRITE, Timer
    from .host.process import ActorProcess, ProcessListener
    from .host.system import ProcessSystem
    from .host.zygote import environment
    from .linux.cgroup import CgroupTree
    from .supervisor import Supervisor


_HOMES: Final = {
    "ActorProcess": "host.process",
    "CgroupTree": "linux.cgroup",
    "Child": "children",
    "ChildSpec": "children",
    "ProcessExit": "host.exit",
    "ProcessListener": "host.process",
    "ProcessSystem": "host.system",
    "READ": "host.io",
    "ReplyAddress": "children",
    "StartChild": "children",
    "StopChild": "children",
    "Supervisor": "supervisor",
    "Timer": "host.io",
    "WRITE": "host.io",
    "ZygoteContext": "context.zygote_context",
    "environment": "host.zygote",
    "get_context": "context.zygote_context",
}


def __getattr__(name: str) -> Any:
    """Import what only a host needs when it is wanted: the zygote and all its children have no use for it.

    What needs `multiprocessing` most hosts never want, either, and its import takes milliseconds.
    """
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f".{home}", __name__), name)
    return found


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
    "ProcessRef",
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
    "ZygoteContext",
    "check_platform",
    "decide",
    "encode_by_name",
    "encode_by_value",
    "encode_object",
    "encode_plain",
    "environment",
    "get_context",
    "open_standard_descriptors",
    "silenced",
]
