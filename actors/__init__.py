"""Actors in operating-system processes: pykka's model, with a zygote, a typed wire and supervision.

This package knows nothing of agents, models or tasks. Importing it starts nothing.

General layout. A room imports only rooms above it in this list (`tests/test_layers.py` holds it). Public is what the
`__all__` of this package, of `interrupts`, `regular_files` and `fence` say.

    errors.py         the errors of this layer
    interrupts.py     waits that Ctrl-C ends (public)
    regular_files.py  opens files where tasks can put something else in their place (public)
    restart.py        restart policies
    cpython.py        the private parts of CPython that are called
    late_import.py    hears of the first import of `multiprocessing`
    wire/             messages between host, zygote and child
    linux/            what is asked of the kernel
    fence.py          keeps processes from each other (public)
    child/            an actor's process: its life from the fork to its exit
    host/             the host's side of processes: system, process, channel, the I/O thread, links to nodes
    node/             the agent of a node: has processes forked there for a host on another machine
    context/          a `multiprocessing` context on the zygote
    actor.py          `ProcessActor`: its shell in the host, the actor in the child
    children.py       what a supervisor knows of a child, and hears of it
    supervisor.py     `Supervisor`: starts, watches and stops process actors
    zygote/           the program that forks actors' processes
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers, which read no table; `tests/test_public_names.py` holds that both agree
    from .actor import ProcessActor as ProcessActor
    from .actor import ProcessRef as ProcessRef
    from .actor import SupervisorRef as SupervisorRef
    from .children import Child as Child
    from .children import ChildSpec as ChildSpec
    from .children import Placement as Placement
    from .children import ReplyAddress as ReplyAddress
    from .children import StartChild as StartChild
    from .children import StopChild as StopChild
    from .context.zygote_context import ZygoteContext as ZygoteContext
    from .context.zygote_context import get_context as get_context
    from .errors import ForkedError as ForkedError
    from .errors import PlainDataError as PlainDataError
    from .errors import ProtocolError as ProtocolError
    from .errors import RemoteError as RemoteError
    from .errors import StartError as StartError
    from .errors import SubactorsError as SubactorsError
    from .errors import UnsupportedPlatformError as UnsupportedPlatformError
    from .host.beginning import SEND_BUFFER as SEND_BUFFER
    from .host.beginning import environment as environment
    from .host.connecting import Address as Address
    from .host.connecting import begin_to_connect as begin_to_connect
    from .host.control_line import Pipes as Pipes
    from .host.exit import ProcessExit as ProcessExit
    from .host.io import READ as READ
    from .host.io import WRITE as WRITE
    from .host.io import IOThread as IOThread
    from .host.io import Timer as Timer
    from .host.node_link import NodeLink as NodeLink
    from .host.node_link import NodeListener as NodeListener
    from .host.process import ActorProcess as ActorProcess
    from .host.process import ProcessListener as ProcessListener
    from .host.remote import Node as Node
    from .host.remote import RemoteProcess as RemoteProcess
    from .host.remote import spawn_elsewhere as spawn_elsewhere
    from .host.system import ProcessSystem as ProcessSystem
    from .linux.cgroup import CgroupTree as CgroupTree
    from .linux.kernel import check_platform as check_platform
    from .linux.kernel import open_standard_descriptors as open_standard_descriptors
    from .linux.kernel import silenced as silenced
    from .linux.mark import MARK as MARK
    from .node.agent import NodeAgent as NodeAgent
    from .node.beginning import House as House
    from .node.beginning import Terms as Terms
    from .node.housed import HousedProcess as HousedProcess
    from .restart import NEVER as NEVER
    from .restart import Again as Again
    from .restart import GiveUp as GiveUp
    from .restart import Restart as Restart
    from .restart import RestartHistory as RestartHistory
    from .restart import RestartPolicy as RestartPolicy
    from .restart import decide as decide
    from .supervisor import Supervisor as Supervisor
    from .wire.frames import encode_plain as encode_plain
    from .wire.messages import ErrorData as ErrorData
    from .wire.messages import GroupUse as GroupUse
    from .wire.messages import ProcessLimits as ProcessLimits
    from .wire.objects import encode_by_name as encode_by_name
    from .wire.objects import encode_by_value as encode_by_value
    from .wire.objects import encode_object as encode_object
    from .wire.value_count import MOST_VALUES as MOST_VALUES
else:
    _NAMES = {
        "actor": "ProcessActor ProcessRef SupervisorRef",
        "children": "Child ChildSpec Placement ReplyAddress StartChild StopChild",
        "context.zygote_context": "ZygoteContext get_context",
        "errors": (
            "ForkedError PlainDataError ProtocolError RemoteError StartError SubactorsError UnsupportedPlatformError"
        ),
        "host.beginning": "SEND_BUFFER environment",
        "host.connecting": "Address begin_to_connect",
        "host.control_line": "Pipes",
        "host.exit": "ProcessExit",
        "host.io": "READ WRITE IOThread Timer",
        "host.node_link": "NodeLink NodeListener",
        "host.process": "ActorProcess ProcessListener",
        "host.remote": "Node RemoteProcess spawn_elsewhere",
        "host.system": "ProcessSystem",
        "linux.cgroup": "CgroupTree",
        "linux.kernel": "check_platform open_standard_descriptors silenced",
        "linux.mark": "MARK",
        "node.agent": "NodeAgent",
        "node.beginning": "House Terms",
        "node.housed": "HousedProcess",
        "restart": "NEVER Again GiveUp Restart RestartHistory RestartPolicy decide",
        "supervisor": "Supervisor",
        "wire.frames": "encode_plain",
        "wire.messages": "ErrorData GroupUse ProcessLimits",
        "wire.objects": "encode_by_name encode_by_value encode_object",
        "wire.value_count": "MOST_VALUES",
    }
    """The public names by their modules. A module is imported when one of its names is first used."""

    _HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

    __all__ = list(_HOMES)

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(f".{home}", __name__), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
