"""Node messages: between the host and the agent of a node, another machine on which the host has processes.

One connection a node carries these, as frames of msgpack. Each process has a connection of its own besides, which
begins with an `Opening`. Both ends prove that they know the node's token, which is never sent. Before both have done so
on the node's own connection, neither says anything but two random numbers, nor does what the other one says.

A node is not trusted: what it says is decoded against types that bound each number and each list, and the host cuts
what is text.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from ..errors import ProtocolError
from .frames import HEADER_SIZE, message_frame, size_of_message
from .messages import MOST_NAMED, Count, Forked, ForkFailed, GroupUse, TrackerWanted

_T = TypeVar("_T")
_Proven = TypeVar("_Proven", bound="Opening | Fetch")

__all__ = [
    "BEAT_EVERY",
    "LEASE",
    "MOST_OPENING",
    "PATIENCE",
    "Beat",
    "Challenge",
    "Control",
    "Ended",
    "Entered",
    "Fetch",
    "First",
    "FromNode",
    "Known",
    "Leave",
    "Notice",
    "Opening",
    "Order",
    "Parting",
    "Proof",
    "Serving",
    "Setup",
    "Signal",
    "Taken",
    "ToNode",
    "TrackerFor",
    "Versions",
    "decode_first",
    "decode_from_node",
    "decode_to_node",
    "encode_node",
    "entered",
    "is_proven",
    "proof_of_host",
    "proof_of_node",
    "proven",
]

BEAT_EVERY: Final = 1.0
"""Seconds between two signs of life, which both ends send."""

LEASE: Final = 10.0
"""Seconds without a word of the host after which a node ends all that it runs for it."""

PATIENCE: Final = 15.0
"""Seconds without a word of a node after which the host takes it for lost: longer than the lease, so that nothing runs
there any more when the host says so."""

MOST_OPENING: Final = 4096
"""Bytes of a message on a connection that nobody has proven anything on yet."""

_Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0.0, le=1e12)]


class Versions(msgspec.Struct, frozen=True):
    """What both ends must have the same of, as what the host sends is pickled.

    Attributes:
        package: version of this package.
        python: of the interpreter, such as `3.11.7`; the last part may differ.
        implementation: of the interpreter, such as `cpython`.
    """

    package: str
    python: str
    implementation: str


# --- what a connection begins with: read before anything is proven ---------------------------------------------------


class Control(msgspec.Struct, frozen=True, tag="control"):
    """Host to node, first on the node's own connection.

    Attributes:
        nonce: a number that the node's proof is to be about.
    """

    nonce: bytes


class Proof(msgspec.Struct, frozen=True, tag="proof"):
    """Host to node, second on the node's own connection.

    Attributes:
        proof: that the host sends this, and the next.
        lease: seconds without a word of the host after which the node is to end all.
    """

    proof: bytes
    lease: float = LEASE


class Opening(msgspec.Struct, frozen=True, tag="opening", omit_defaults=True):
    """Host to node, first on a process's connection: fork a process that goes on with it. `Start` follows.

    Attributes:
        key: number by which host and node name the process; used once.
        proof: that the host sends this (`prove`).
        label: what the layer above calls the process.
        directory: where it is to work; the node says in words if that is missing. Empty: the node's own choice.
        group: the control group that it will be in.
        fenced: whether it is to be behind a fence.
    """

    key: int
    proof: bytes
    label: str = ""
    directory: str = ""
    group: str | None = None
    fenced: bool = True


class Entered(msgspec.Struct, frozen=True, tag="entered"):
    """Node to host, first on a process's connection over a network: the opening has come to whom it was meant for.

    Before that the host does not send `Start`, in which there may be keys. A Unix socket is in a folder of the user's.
    """

    proof: bytes


class Fetch(msgspec.Struct, frozen=True, tag="fetch"):
    """Host to node, first and only on a connection of its own: send a file, from a place on, and close.

    Attributes:
        key: as of an opening, a number that is used once.
        proof: that the host sends this.
        name: of the file, as the layer above knows it.
        start: bytes to leave out.
    """

    key: int
    proof: bytes
    name: str
    start: int = 0


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """Both ways, each second: a sign of life."""


First: TypeAlias = Control | Proof | Opening | Fetch | Beat


# --- the node's own connection ---------------------------------------------------------------------------------------


class Challenge(msgspec.Struct, frozen=True, tag="challenge"):
    """Node to host, first: its proof, and a number for the host's."""

    nonce: bytes
    proof: bytes


class Known(msgspec.Struct, frozen=True, tag="known"):
    """Node to host, second: it has the host's proof, and is of these versions."""

    versions: Versions


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """Host to node, once, if the versions are its own: how to set up, encoded by the layer above."""

    body: bytes


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    """Node to host, once: it takes processes from now on.

    Attributes:
        folder: where it keeps files, as the layer above tells it.
        groups: the control group in which groups can be made; empty if there is none.
    """

    folder: Annotated[str, msgspec.Meta(pattern="^/", max_length=4096)]
    groups: Annotated[str, msgspec.Meta(max_length=4096)] = ""


class Signal(msgspec.Struct, frozen=True, tag="signal"):
    """Host to node: send a process a signal, at once or as soon as it exists."""

    key: int
    number: int


class TrackerFor(msgspec.Struct, frozen=True, tag="tracker_for"):
    """Host to node: a process wants a resource tracker of `multiprocessing`; see `TrackerWanted`."""

    key: int
    wanted: TrackerWanted


class Order(msgspec.Struct, frozen=True, tag="order"):
    """Host to node: a message of the layer above."""

    body: msgspec.Raw


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """Host to node, last: end everything, and then yourself."""


class Parting(msgspec.Struct, frozen=True, tag="parting"):
    """Node to host, last: it ends everything, and why, as a clause."""

    why: str


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """Node to host, once for each `Opening`, before anything is done for it: its connection has come."""

    key: int


class Notice(msgspec.Struct, frozen=True, tag="notice"):
    """Node to host: a message of the layer above."""

    body: msgspec.Raw


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """Node to host, once: a process and what it had started is gone. As `Exited`, or nobody saw how.

    Attributes:
        unobserved: why nobody knows how it ended; empty if that is known.
        left: what it has left in files, encoded by the layer above.
        disconnected: whether it was ended because it had closed its channel, and lived on.
    """

    key: int
    code: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    signal: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    unobserved: str = ""
    user_seconds: _Seconds = 0.0
    system_seconds: _Seconds = 0.0
    peak_bytes: Count = 0
    survivors: Count = 0
    survivor_ids: Annotated[tuple[Count, ...], msgspec.Meta(max_length=MOST_NAMED)] = ()
    group: GroupUse | None = None
    left: msgspec.Raw = msgspec.Raw()
    disconnected: bool = False


ToNode: TypeAlias = Control | Proof | Setup | Signal | TrackerFor | Order | Beat | Leave
FromNode: TypeAlias = Challenge | Known | Serving | Taken | Forked | ForkFailed | Ended | Beat | Notice | Parting

_encoder: Final = msgspec.msgpack.Encoder()
_first: Final[msgspec.msgpack.Decoder[First]] = msgspec.msgpack.Decoder(First)
_to_node: Final[msgspec.msgpack.Decoder[ToNode]] = msgspec.msgpack.Decoder(ToNode)
_from_node: Final[msgspec.msgpack.Decoder[FromNode]] = msgspec.msgpack.Decoder(FromNode)


def encode_node(message: First | Entered | ToNode | FromNode) -> bytes:
    """Return a message as one frame."""
    return message_frame(_encoder.encode(message))


def decode_first(data: bytes) -> tuple[First | None, int]:
    """Return what a connection begins with, and how many bytes that is; None while some of it is missing.

    Raises:
        ProtocolError: it is no such message.
    """
    if len(data) < HEADER_SIZE:
        return None, HEADER_SIZE
    size = size_of_message(data, MOST_OPENING)
    if len(data) < size:
        return None, size
    try:
        return _first.decode(data[HEADER_SIZE:size]), size
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"a connection that begins with something else: {error}") from error


def decode_to_node(payload: bytes | memoryview) -> ToNode:
    """Return the host's message; raises ProtocolError for anything else."""
    return _decoded(_to_node, payload)


def decode_from_node(payload: bytes | memoryview) -> FromNode:
    """Return the node's message; raises ProtocolError for anything else."""
    return _decoded(_from_node, payload)


def proof_of_node(token: bytes, control: Control, nonce: bytes) -> bytes:
    """Return what proves that a node answers a host's first message.

    Args:
        token: what both know.
        control: that message.
        nonce: the node's own number.
    """
    return _prove(token, "node", control.nonce, nonce)


def proof_of_host(token: bytes, nonce: bytes, challenge: Challenge, lease: float) -> bytes:
    """Return what proves that a host answers a node.

    Args:
        token: what both know.
        nonce: the host's own number.
        challenge: what the node has said.
        lease: see `Proof`.
    """
    return _prove(token, "host", nonce, challenge.nonce, repr(lease))


def proven(first: _Proven, token: bytes, nonce: bytes) -> _Proven:
    """Return the first message of a connection with the proof that the host sends it, and all that is in it.

    Args:
        first: the message, whose proof is not looked at.
        token: what host and node know.
        nonce: the node's number.
    """
    return msgspec.structs.replace(first, proof=_prove(token, type(first).__name__, nonce, _all_but_proof(first)))


def is_proven(first: Opening | Fetch, token: bytes, nonce: bytes) -> bool:
    """Whether the host has sent the first message of a connection; see `proven`."""
    return hmac.compare_digest(proven(first, token, nonce).proof, first.proof)


def entered(opening: Opening, token: bytes) -> Entered:
    """Return what a node answers an opening with, if it knows the token."""
    return Entered(_prove(token, "entered", opening.proof))


def _all_but_proof(first: Opening | Fetch) -> bytes:
    return _encoder.encode(msgspec.structs.replace(first, proof=b""))


def _prove(token: bytes, *about: bytes | str) -> bytes:
    """Return what only who knows the token can make of these: an HMAC with SHA-256."""
    proof = hmac.new(token, digestmod=hashlib.sha256)
    for what in about:
        data = what if isinstance(what, bytes) else what.encode()
        proof.update(len(data).to_bytes(8, "big") + data)
    return proof.digest()


def _decoded(decoder: msgspec.msgpack.Decoder[_T], payload: bytes | memoryview) -> _T:
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError, MemoryError) as error:
        raise ProtocolError(f"a message that fits none of the declared types: {error}") from error
