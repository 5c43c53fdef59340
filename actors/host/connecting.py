"""Connecting: to a node, by a Unix socket or over a network, in both manners: that waits, and that does not."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Final, TypeAlias

from ..wire.node import PATIENCE

__all__ = ["Address", "begin_to_connect", "connect"]

Address: TypeAlias = str | tuple[str, int]
"""Where a node takes connections: the path of a Unix socket, or an internet address and a port."""

_UNDER_WAY: Final = frozenset({0, errno.EINPROGRESS})


def begin_to_connect(address: Address) -> socket.socket:
    """Return a connection that may be under way, and by which may be sent at once. It does not wait.

    Raises:
        OSError: it cannot be made; BlockingIOError: there is no room for it now.
    """
    channel = socket.socket(_family(address))
    with contextlib.ExitStack() as closing:
        closing.callback(channel.close)
        channel.setblocking(False)
        if channel.family != socket.AF_UNIX:
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PATIENCE * 1000))
        problem = channel.connect_ex(address)
        if problem not in _UNDER_WAY:
            raise OSError(problem, os.strerror(problem))
        closing.pop_all()
    return channel


def connect(address: Address) -> socket.socket:
    """Return a connection, which waits, but not for ever. Raises OSError."""
    channel = socket.socket(_family(address))
    with contextlib.ExitStack() as closing:
        closing.callback(channel.close)
        channel.settimeout(PATIENCE)
        channel.connect(address)
        closing.pop_all()
    return channel


def _family(address: Address) -> socket.AddressFamily:
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET
