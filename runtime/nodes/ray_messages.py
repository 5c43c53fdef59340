"""Ray messages: what a host and its Ray driver say to each other, as lines of JSON; see `ray` and `ray_driver`."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

__all__ = [
    "AgentFound",
    "Beat",
    "Book",
    "Booked",
    "BookingWaits",
    "Connect",
    "FromDriver",
    "NodeComing",
    "NodeDrains",
    "NodeLost",
    "ReleaseNode",
    "ToDriver",
    "Trouble",
    "Unbook",
    "decode_from_driver",
    "decode_to_driver",
    "line",
]


# --- host to driver --------------------------------------------------------------------------------------------------


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """Connect to a cluster, and start an agent on each of its nodes; the first line.

    Attributes:
        address: as `ray.init` takes it.
        runtime_env: of the program that has initialised Ray, if it has one.
    """

    address: str
    runtime_env: dict[str, Any] = {}


class ReleaseNode(msgspec.Struct, frozen=True, tag="release"):
    """The host needs the agent of a node no more, or has lost it."""

    name: str


class Book(msgspec.Struct, frozen=True, tag="book"):
    """Book resources of one node, and say of which.

    Attributes:
        key: names the booking.
        bundle: how much of each, as Ray calls them.
        avoiding: names of nodes that are not to have it.
    """

    key: int
    bundle: dict[str, float]
    avoiding: tuple[str, ...] = ()


class Unbook(msgspec.Struct, frozen=True, tag="unbook"):
    """Give a booking back, or give it up."""

    key: int


ToDriver: TypeAlias = Connect | ReleaseNode | Book | Unbook


# --- driver to host --------------------------------------------------------------------------------------------------


class AgentFound(msgspec.Struct, frozen=True, tag="found"):
    """An agent takes connections.

    Attributes:
        name: of its node.
        address: where it listens.
        token: what it was told, in hexadecimal.
        certificate: which its end of a line with TLS shows (`tls.fingerprint`); empty: the line is plain.
    """

    name: str
    address: tuple[str, int]
    token: str
    certificate: str = ""


class NodeComing(msgspec.Struct, frozen=True, tag="coming"):
    """A node of the cluster is to have an agent; said again after each `NodeLost` that is not its end."""

    name: str


class NodeLost(msgspec.Struct, frozen=True, tag="lost"):
    """A node is no more, or has no agent for now.

    Attributes:
        name: of the node.
        why: as a clause; empty: nobody has been told of it yet but that it is coming.
        is_final: whether it will have none when it is tried again, either.
    """

    name: str
    why: str
    is_final: bool = False


class NodeDrains(msgspec.Struct, frozen=True, tag="drains"):
    """Ray is about to take a node away: nothing new is to begin there."""

    name: str


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """See `Launcher.begin`."""

    sentence: str
    is_last: bool


class Booked(msgspec.Struct, frozen=True, tag="booked"):
    """Resources are booked, of a node whose agent the host knows.

    Attributes:
        key: names the booking.
        name: of the node.
        variables: those by which a process uses no other devices than what is booked.
    """

    key: int
    name: str
    variables: dict[str, str] = {}


class BookingWaits(msgspec.Struct, frozen=True, tag="waits"):
    """Resources cannot be booked yet, and why, as a clause. Said once for each reason."""

    key: int
    why: str


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The driver runs. Said each second, whatever Ray does meanwhile."""


FromDriver: TypeAlias = AgentFound | NodeComing | NodeLost | NodeDrains | Trouble | Booked | BookingWaits | Beat

_encoder: Final = msgspec.json.Encoder()
_to_driver: Final[msgspec.json.Decoder[ToDriver]] = msgspec.json.Decoder(ToDriver)
_from_driver: Final[msgspec.json.Decoder[FromDriver]] = msgspec.json.Decoder(FromDriver)


def line(message: ToDriver | FromDriver) -> bytes:
    """Return a message as a line."""
    return _encoder.encode(message) + b"\n"


def decode_to_driver(data: bytes) -> ToDriver:
    """Return the host's message; raises msgspec.MsgspecError for anything else."""
    return _to_driver.decode(data)


def decode_from_driver(data: bytes) -> FromDriver:
    """Return the driver's message; raises msgspec.MsgspecError for anything else."""
    return _from_driver.decode(data)
