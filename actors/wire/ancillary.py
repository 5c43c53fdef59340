"""Ancillary data: packets with a descriptor beside them, as host and zygote send them to each other.

It replaces the standard library's `send_fds` and `recv_fds`. Those go through an array and loops in Python: a dozen
pages that the zygote and its next child would both have to copy.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["MOST", "ROOM", "descriptors_in", "receive", "receive_one", "send", "send_first"]

MOST: Final = 253
"""Descriptors that the kernel takes with one message."""

_LIMIT: Final = 32768
"""Bytes of the longest packet."""

_SIZE: Final = 4
"""Bytes of a descriptor, which is a C int."""

_ROOM: Final = socket.CMSG_LEN(_SIZE)  # for one, not two
ROOM: Final = socket.CMSG_LEN(_SIZE * MOST)
"""Bytes for the descriptors that come with the beginning of a stream."""

_FLAGS: Final = int(socket.MSG_CMSG_CLOEXEC)
_LEVEL: Final = int(socket.SOL_SOCKET)
_RIGHTS: Final = int(socket.SCM_RIGHTS)
_ORDER: Final = sys.byteorder


def send(control: socket.socket, packet: bytes, descriptor: int) -> None:
    """Send a packet and a descriptor; raises what `socket.sendmsg` raises."""
    control.sendmsg((packet,), ((_LEVEL, _RIGHTS, descriptor.to_bytes(_SIZE, _ORDER)),))


def receive(control: socket.socket) -> tuple[bytes, int | None]:
    """Receive a packet, empty at the end, and the descriptor that came with it, which programs do not inherit.

    The descriptor is None where there was none, or no room for it. Raises what `socket.recvmsg` raises.
    """
    packet, ancillary, _, _ = control.recvmsg(_LIMIT, _ROOM, _FLAGS)
    return packet, int.from_bytes(ancillary[0][2][:_SIZE], _ORDER) if ancillary else None


def receive_one(channel: socket.socket) -> tuple[bytes, int | None]:
    """Receive one byte of a stream, and the descriptor that came with it; see `receive`."""
    data, ancillary, _, _ = channel.recvmsg(1, _ROOM, _FLAGS)
    return data, int.from_bytes(ancillary[0][2][:_SIZE], _ORDER) if ancillary else None


def send_first(channel: socket.socket, data: memoryview, descriptors: Sequence[int]) -> int:
    """Send the beginning of a stream, with up to `MOST` descriptors; return how many bytes that were.

    Raises what `socket.sendmsg` raises.
    """
    rights = b"".join(descriptor.to_bytes(_SIZE, _ORDER) for descriptor in descriptors)
    return channel.sendmsg((data,), ((_LEVEL, _RIGHTS, rights),))


def descriptors_in(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that came beside something that was received with `ROOM` for them."""
    rights = ancillary[0][2]
    return [int.from_bytes(rights[at : at + _SIZE], _ORDER) for at in range(0, len(rights), _SIZE)]
