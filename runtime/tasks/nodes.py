"""Nodes: what a caller sees of the machines of places, and the requests about them. Only the host's program asks these.

A task cannot: what it may ask is `messages.TaskRequest`, and these are not in it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from .request import Request

__all__ = ["DrainNode", "ListNodes", "NodeLine", "NodeList", "NodeRequest", "NodeState", "NodeView"]

NodeState: TypeAlias = Literal["connecting", "serving", "draining", "lost"]
"""`connecting → serving → draining → lost`; each step but the last may be left out. One that comes back is new;
a machine that is reached by ssh, and was drained, is `draining` then."""


NodeLine: TypeAlias = Literal["", "plain", "TLS", "ssh"]
"""How what a host and a node say to each other is kept from others: by nothing, by TLS, or by ssh; empty: not known."""


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One machine of a place at one moment.

    Attributes:
        place: name of the place that it belongs to.
        name: of the machine, as its place knows it: as ssh takes it, or as Ray calls it.
        state: `connecting`: its agent is being started; `serving`: it takes tasks; `draining`: it takes no new ones;
            `lost`: it is gone, or could not be had.
        why: why it is lost, or drained, as a sentence; empty otherwise.
        address: where tasks' connections go, for people to read; empty while that is not known.
        line: what keeps what host and node say to each other from others: `ssh`, `TLS`, or nothing (`plain`); empty
            while that is not known.
        tasks: how many processes of tasks run there.
        memory_available: bytes of memory that it has left; None while it has not told.
        silent: seconds since its last sign of life; None before the first, and of one that is lost.
        version: of this package there; empty while it has not told.
        python: version of the interpreter there, in the same way.
    """

    place: str
    name: str
    state: NodeState
    why: str = ""
    address: str = ""
    line: NodeLine = ""
    tasks: int = 0
    memory_available: int | None = None
    silent: float | None = None
    version: str = ""
    python: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data, for readers of JSON."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


class NodeList(msgspec.Struct, frozen=True):
    """Machines, in the order of their places."""

    nodes: list[NodeView]


class ListNodes(Request[NodeList], frozen=True, tag="list_nodes"):
    """Answered with the `NodeList` of all places; empty where everything runs on the host's own machine."""


class DrainNode(Request[NodeList], frozen=True, tag="drain_node"):
    """Have a node take no new task, in each place that has one of its name.

    Answered with those nodes, in the order of their places, or refused where there is none, once that is so.

    Attributes:
        name: of the node.
        stop: whether its tasks are ended, and restarted elsewhere if they have a restart policy; else they run until
            they end by themselves.
    """

    name: str
    stop: bool = False


NodeRequest: TypeAlias = ListNodes | DrainNode
