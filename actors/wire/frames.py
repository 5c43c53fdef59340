"""Frames: turn messages into bytes, and bytes into messages of the declared types.

A frame is a five-byte header (length of the payload, kind) and the payload. Output has a kind of its own, so that a
flood of it costs no decoding. It must never run code that a child chose: what a child sends is msgpack, decoded against
the closed unions of `messages`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ..errors import PlainDataError, ProtocolError
from .messages import (
    Fork,
    FromChild,
    FromZygote,
    Preload,
    Reply,
    ReplyError,
    Report,
    Request,
    StartFailed,
    Stopped,
    ToChild,
)

__all__ = [
    "HEADER_SIZE",
    "MAXIMUM_FRAME",
    "OUTPUT",
    "FrameDecoder",
    "decode_from_child",
    "decode_from_zygote",
    "decode_to_child",
    "encode_frame",
    "encode_packet",
    "encode_plain",
    "fault_text",
    "message_frame",
    "output_header",
    "size_of_message",
]

_HEADER: Final = struct.Struct(">IB")

HEADER_SIZE: Final = _HEADER.size
"""Bytes of a frame before its payload."""

MAXIMUM_FRAME: Final = 8 * 1024 * 1024
"""Longest payload, in bytes. It bounds what the host buffers for a child that announces a frame and never ends it."""

_MESSAGE: Final = 0
OUTPUT: Final = 1

_MOST_DECODED: Final = 256 * 1024
"""Longest message, in bytes, with attributes: ten thousand of them, and no more than some milliseconds' work."""

_FAULT_TEXT: Final = 200
"""Characters of what a decoder says of a message, as it may repeat what was sent."""

_encoder = msgspec.msgpack.Encoder()
_from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
_large_from_child: msgspec.msgpack.Decoder[Reply | ReplyError | Report | Request | StartFailed | Stopped] = (
    msgspec.msgpack.Decoder(Reply | ReplyError | Report | Request | StartFailed | Stopped)
)
_to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
_from_zygote: msgspec.msgpack.Decoder[FromZygote] = msgspec.msgpack.Decoder(FromZygote)


def encode_packet(message: Fork | Preload | FromZygote) -> bytes:
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
    return message_frame(payload)


def message_frame(payload: bytes) -> bytes:
    """Return a message that is encoded as one frame."""
    return _HEADER.pack(len(payload), _MESSAGE) + payload


def size_of_message(data: bytes, most: int) -> int:
    """Return the bytes of the frame that begins with these, its header with it.

    Raises:
        ProtocolError: it is no message, or longer than `most`.
    """
    size, kind = _HEADER.unpack_from(data)
    if kind != _MESSAGE or size > most:
        raise ProtocolError(f"a frame of kind {kind} that announces {size:,} bytes, where {most:,} are allowed")
    return _HEADER.size + int(size)


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

    @property
    def has_left(self) -> bool:
        """Whether an iterator was closed before it had yielded all."""
        return bool(self._left)

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
