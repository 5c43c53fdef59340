"""Messages: between the host and one actor's process, and between the host and the zygote, with their frames.

It turns messages into bytes and bytes into declared types. It must never run code that a child chose: a child sends
msgpack, decoded against the closed unions below. Only the trusted direction (host to child) carries pickles, inside
`Start.actor`, `Tell.body` and `Ask.body`.

A frame is a five-byte header (length of the payload, kind) and the payload. Output has a kind of its own, so that a
flood of it costs no decoding.
"""

from __future__ import annotations

import struct
import traceback as traceback_module
from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from ..errors import PlainDataError, ProtocolError

__all__ = [
    "CHANNEL",
    "HERE",
    "MAXIMUM_FRAME",
    "MOST_NAMED",
    "OUTPUT",
    "OWN_ATTRIBUTES",
    "STANDS_BY",
    "Answer",
    "Ask",
    "Attribute",
    "Attributes",
    "Configuration",
    "ErrorData",
    "Exited",
    "Fork",
    "ForkFailed",
    "Forked",
    "FrameDecoder",
    "FromChild",
    "FromZygote",
    "GroupUse",
    "Interface",
    "PreloadFailed",
    "ProcessLimits",
    "Ready",
    "Refused",
    "Reply",
    "ReplyError",
    "Report",
    "Request",
    "Start",
    "StartFailed",
    "Stop",
    "Stopped",
    "Tell",
    "ToChild",
    "decode_from_child",
    "decode_from_zygote",
    "decode_to_child",
    "encode_frame",
    "encode_packet",
    "encode_plain",
    "error_data",
    "fault_text",
    "output_header",
]

_HEADER: Final = struct.Struct(">IB")

MAXIMUM_FRAME: Final = 8 * 1024 * 1024
"""Longest payload, in bytes. It bounds what the host buffers for a child that announces a frame and never ends it."""

CHANNEL: Final = 3
"""Number of the channel's descriptor in every child."""

HERE: Final = b"here"
"""What the zygote says when it begins to serve and whenever the host says it: that it is there, and listens."""

MOST_NAMED: Final = 20
"""Process ids of survivors that are told: a packet has a size, and a reason is read by people."""

STANDS_BY: Final = b"\x01"
"""The first byte on the channel of a process that was forked ahead, before any frame: it waits for its actor now."""

_MESSAGE: Final = 0
OUTPUT: Final = 1

_MOST_DECODED: Final = 256 * 1024
"""Longest message, in bytes, with attributes: ten thousand of them, and no more than some milliseconds' work."""

_FAULT_TEXT: Final = 200
"""Characters of what a decoder says of a message, as it may repeat what was sent."""

_ERROR_TEXT: Final = 100_000
"""Longest text, and longest traceback, of an exception in characters; a longer one loses its middle."""


class ErrorData(msgspec.Struct, frozen=True):
    """An exception as data.

    Attributes:
        type_name: `module.qualname` of the exception's type.
        message: its text.
        traceback: formatted traceback of the process in which it was raised.
    """

    type_name: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        """Return type and message the way a traceback ends."""
        name = self.type_name.removeprefix("builtins.")
        return f"{name}: {self.message}" if self.message else name


def error_data(error: BaseException) -> ErrorData:
    """Return an exception as data that can cross, whatever its text is and even if that cannot be made."""
    kind = type(error)
    try:
        # Of exactly that type: a subclass may behave in any way.
        message = str.__str__(str(error))
    except BaseException:  # noqa: BLE001 - a broken __str__ must not hide the failure that it describes
        message = "(the exception's text could not be made)"
    try:
        text = "".join(traceback_module.format_exception(error))
    except BaseException:  # noqa: BLE001 - the same
        text = ""
    return ErrorData(f"{kind.__module__}.{kind.__qualname__}", _presentable(message), _presentable(text))


def _presentable(text: str) -> str:
    if len(text) > _ERROR_TEXT:
        half = _ERROR_TEXT // 2
        left_out = len(text) - 2 * half
        text = f"{text[:half]}\n[{left_out:,} characters left out]\n{text[-half:]}"
    # Half a surrogate pair, as in the names of files and in badly cut text, has no UTF-8.
    return text.encode("utf-8", "replace").decode()


OWN_ATTRIBUTES: Final = frozenset({"actor_urn", "actor_inbox", "actor_stopped", "actor_ref"})
"""What every actor has, in its process as in the host: it is not told."""

Interface: TypeAlias = dict[str, "Attribute"]


class Attribute(msgspec.Struct, frozen=True):
    """What a proxy must know of one attribute of an actor: whether it is called, or entered, and what is inside."""

    callable: bool
    inner: dict[str, Attribute] | None = None


# --- child to host: decoded in the host's I/O thread, against exactly these types -----------------------------------


AnnouncedInterface: TypeAlias = Annotated[Interface, msgspec.Meta(max_length=10_000)]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Child to host, once: the actor's constructor returned."""

    attributes: AnnouncedInterface


class StartFailed(msgspec.Struct, frozen=True, tag="start_failed"):
    """Child to host, in place of `Ready`: the process could not be set up, or the constructor raised."""

    error: ErrorData


class Attributes(msgspec.Struct, frozen=True, tag="attributes"):
    """Child to host: the actor's own attributes have changed; proxies learn the names from it."""

    attributes: AnnouncedInterface


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """Child to host: what an ask answered, as plain data, which is decoded by who asked (see `reply`)."""

    ask_id: int
    value: msgspec.Raw


class ReplyError(msgspec.Struct, frozen=True, tag="reply_error"):
    """Child to host: what an ask raised."""

    ask_id: int
    error: ErrorData


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Child to its supervisor: a message of the layer above, decoded there against its own closed union."""

    body: msgspec.Raw


class Request(msgspec.Struct, frozen=True, tag="request"):
    """Child to its supervisor: as `Report`, and an `Answer` or `Refused` with the same id is owed."""

    request_id: int
    body: msgspec.Raw


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """Child to host, last: the actor's loop has ended, by itself or by the error given."""

    error: ErrorData | None = None


FromChild: TypeAlias = Ready | StartFailed | Attributes | Reply | ReplyError | Report | Request | Stopped


# --- host to child: trusted -----------------------------------------------------------------------------------------


class ProcessLimits(msgspec.Struct, frozen=True):
    """What the kernel holds one process, or its tree, to; None is no limit.

    Attributes:
        cpu_seconds: RLIMIT_CPU, rounded up to whole seconds: SIGXCPU ends the process.
        data_bytes: how much its private memory may grow beyond what it starts with (RLIMIT_DATA): then MemoryError.
        tree_bytes: memory of the process and all that it starts, where there are control groups: then SIGKILL for all.
        tree_processes: number of processes, likewise, with room for their threads: then no more can be forked.
    """

    cpu_seconds: float | None = None
    data_bytes: int | None = None
    tree_bytes: int | None = None
    tree_processes: int | None = None


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Host to child, first: everything that makes a bare process this actor.

    Names of files and the environment are bytes, as the operating system has them: they need not be valid text.

    Attributes:
        urn: the actor's URN, chosen by the host.
        actor: pickle of `(class, args, kwargs)`.
        directory: working directory.
        environ: the whole environment; None is the one that the zygote was given.
        sys_path: module search path; None as for `environ`.
        capture: file that takes descriptors 1 and 2; None leaves them where the host's go.
        limits: for this process; None means no limits.
        group: the control group that it is to make and enter; None if it needs none, or there is no tree for it.
    """

    urn: str
    actor: bytes
    directory: bytes
    environ: dict[bytes, bytes] | None
    sys_path: list[bytes] | None
    capture: bytes | None
    limits: ProcessLimits | None = None
    group: str | None = None


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Host to child: a message for the mailbox, pickled."""

    body: bytes


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Host to child: as `Tell`, and a `Reply` or `ReplyError` with the same id is owed."""

    ask_id: int
    body: bytes


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Host to child: stop after what is in the mailbox; `on_stop_requested` runs at once."""


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Supervisor to child: the answer to a `Request`, encoded by the layer above."""

    request_id: int
    body: msgspec.Raw


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Supervisor to child: the request failed, and how."""

    request_id: int
    error: ErrorData


ToChild: TypeAlias = Start | Tell | Ask | Stop | Answer | Refused


# --- host and zygote: one packet a message on a SOCK_SEQPACKET pair -------------------------------------------------


class Configuration(msgspec.Struct, frozen=True):
    """Host to zygote, first; in a file in memory that comes with an empty packet, as it may be longer than one.

    Attributes:
        host_pid: the host, whose death ends everything.
        environ: the environment of actors that are given no other.
        sys_path: the host's module search path.
        folders: what comes before it for actors, and for `late_preload`.
        preload: modules that every actor will want, imported once.
        late_preload: the same, but with `folders` on the path; the host hears of those that fail.
        rehearsal: pickle of `(class, args, kwargs)` of an actor that processes which stand by start and end once.
            Empty: of one that stops at once.
        for_many: whether the zygote rehearses from the beginning, or not before the second actor.
    """

    host_pid: int
    environ: dict[bytes, bytes]
    sys_path: list[bytes]
    folders: list[bytes]
    preload: list[str]
    late_preload: list[str]
    rehearsal: bytes
    for_many: bool


class Fork(msgspec.Struct, frozen=True, tag="fork"):
    """Host to zygote, with one descriptor: fork a process that serves this channel.

    Attributes:
        group: the control group that the process will be in, to be ended and removed with it.
        standby: whether it will wait for its first message for a while, and should be ready for it.
        fenced: whether it is to be behind a fence; see `fence`.
    """

    key: int
    group: str | None = None
    standby: bool = False
    fenced: bool = False


class PreloadFailed(msgspec.Struct, frozen=True, tag="preload_failed"):
    """Zygote to host: an entry of `late_preload` has raised this; the others were still imported."""

    entry: str
    error: ErrorData


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """Zygote to host, with the new process's pidfd."""

    key: int
    pid: int


class ForkFailed(msgspec.Struct, frozen=True, tag="fork_failed"):
    """Zygote to host: the system refused another process."""

    key: int
    message: str


class GroupUse(msgspec.Struct, frozen=True):
    """What the kernel has counted in a process's control group; 0 where it does not count.

    Attributes:
        memory_kills: processes that it killed because the group had reached its own limit.
        memory_peak: most memory that the group has used, in bytes.
        refused_forks: processes and threads that it did not let the group start.
        entries: processes and threads that the group may have at a time.
    """

    memory_kills: int = 0
    memory_peak: int = 0
    refused_forks: int = 0
    entries: int = 0


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """Zygote to host, once a process and everything that it had started is gone and reaped.

    Attributes:
        code: exit status, or minus the number of the signal that ended it.
        user_seconds: CPU time in user mode, children that it reaped included.
        system_seconds: CPU time in the kernel.
        peak_bytes: largest resident set.
        survivors: number of processes that were left, perhaps by it, when it could wait for them no longer.
        survivor_ids: ids of the first of them.
        group: what was counted in its control group; None if it was in none.
    """

    key: int
    code: int
    user_seconds: float
    system_seconds: float
    peak_bytes: int
    survivors: int = 0
    survivor_ids: tuple[int, ...] = ()
    group: GroupUse | None = None


FromZygote: TypeAlias = Forked | ForkFailed | Exited | PreloadFailed

_encoder = msgspec.msgpack.Encoder()
_from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
_large_from_child: msgspec.msgpack.Decoder[Reply | ReplyError | Report | Request | StartFailed | Stopped] = (
    msgspec.msgpack.Decoder(Reply | ReplyError | Report | Request | StartFailed | Stopped)
)
_to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
_from_zygote: msgspec.msgpack.Decoder[FromZygote] = msgspec.msgpack.Decoder(FromZygote)


def encode_packet(message: Fork | FromZygote) -> bytes:
    """Return a message of the zygote's control socket as one packet."""
    return _encoder.encode(message)


def decode_from_zygote(packet: bytes) -> FromZygote:
    """Return the zygote's message; raises ProtocolError for anything else."""
    try:
        return _from_zygote.decode(packet)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"the zygote sent something unreadable: {error}") from error


def encode_plain(value: Any) -> msgspec.Raw:
    """Return plain data, or a declared message of the layer above, encoded.

    Raises:
        PlainDataError: the value, or something inside it, is not plain data.
    """
    return msgspec.Raw(_encode(value))


def encode_frame(message: FromChild | ToChild) -> bytes:
    """Return a message as one frame.

    Raises:
        PlainDataError: it holds a value that is not plain data, or is longer than the receiver accepts.
    """
    payload = _encode(message)
    if len(payload) > MAXIMUM_FRAME and isinstance(message, FromChild):
        raise PlainDataError(f"a message of {len(payload):,} bytes is longer than the {MAXIMUM_FRAME:,} that may cross")
    return _HEADER.pack(len(payload), _MESSAGE) + payload


def _encode(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise PlainDataError(
            f"{type(value).__name__} cannot cross to another process as data ({error}); "
            "answer with None, bool, int, float, str, bytes, lists and dicts of these, or a dataclass of them"
        ) from error


def output_header(size: int) -> bytes:
    """Return the header of an output frame of `size` bytes."""
    return _HEADER.pack(size, OUTPUT)


def decode_from_child(payload: bytes | memoryview) -> FromChild:
    """Return a child's message; raises ProtocolError, saying what was wrong, for anything that is not one."""
    # Attributes become an object each, and megabytes of them a second's work; the others keep their bytes as they are.
    decoder = _from_child if len(payload) <= _MOST_DECODED else _large_from_child
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError, MemoryError) as error:
        raise ProtocolError(f"a message that fits none of the declared types: {fault_text(error)}") from error


def fault_text(error: BaseException) -> str:
    """Return what a decoder says of a message, without what may be long in it."""
    text = str(error)
    return text if len(text) <= _FAULT_TEXT else f"{text[:_FAULT_TEXT]}…"


def decode_to_child(payload: bytes | memoryview) -> ToChild:
    """Return the host's message; runs in the child."""
    return _to_child.decode(payload)


class FrameDecoder:
    """Cuts a byte stream into frames, incrementally and without ever waiting.

    Args:
        limit: longest payload accepted, in bytes; None where the sender is trusted.
    """

    def __init__(self, limit: int | None = MAXIMUM_FRAME) -> None:
        self._limit = limit
        self._begun = bytearray()
        self._left = memoryview(b"")

    @property
    def torn(self) -> bool:
        """Whether the bytes so far end inside a frame."""
        return bool(self._begun or self._left)

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
        """Take bytes and yield each frame that is whole as `(kind, payload)`.

        Nothing is copied but a frame that comes in parts: a payload is good for as long as `data` is. What has not been
        yielded when the iterator is closed comes first the next time.

        Raises:
            ProtocolError: a header announces an unknown kind or more than the limit. The stream is useless after it.
        """
        # What is left of bytes that were copied before is not copied again, however often only a part of it is taken.
        is_own = bool(self._left) and not data
        view = self._left if is_own else memoryview(bytes(self._left) + data if self._left else data)
        position = 0
        try:
            if self._begun:
                position = self._go_on(view)
                if len(self._begun) < self._length(self._begun, 0):
                    return
                whole, self._begun = memoryview(self._begun), bytearray()
                yield whole[_HEADER.size - 1], whole[_HEADER.size :]
            while len(view) - position >= _HEADER.size:
                start, end = position, position + self._length(view, position)
                if end > len(view):
                    break
                position = end
                yield view[start + _HEADER.size - 1], view[start + _HEADER.size : end]
            self._begun += view[position:]
            position = len(view)
        finally:
            self._left = view[position:] if is_own else memoryview(bytes(view[position:]))

    def _go_on(self, view: memoryview) -> int:
        """Take what the frame that has begun still lacks, its header first; return how many bytes that were."""
        taken = 0
        while taken < len(view) and (missing := self._length(self._begun, 0) - len(self._begun)):
            piece = view[taken : taken + missing]
            self._begun += piece
            taken += len(piece)
        return taken

    def _length(self, data: bytearray | memoryview, start: int) -> int:
        """Return the length of the frame that begins there, as far as it is known: at first that of its header."""
        if len(data) - start < _HEADER.size:
            return _HEADER.size
        size, kind = _HEADER.unpack_from(data, start)
        if kind > OUTPUT:
            raise ProtocolError(f"a frame of unknown kind {kind}")
        if self._limit is not None and size > self._limit:
            raise ProtocolError(f"a frame that announces {size:,} bytes; {self._limit:,} are allowed")
        return _HEADER.size + int(size)
