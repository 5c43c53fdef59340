"""Own addresses: tells which addresses belong to this machine. It sends nothing."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final, TypeAlias

__all__ = ["Address", "is_own"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_ANY_PORT: Final = 9


def is_own(address: Address) -> bool:
    """Whether an address is one of this machine's own, on whatever interface, a public one say.

    The kernel is asked for the way there: to reach itself, a machine uses the same address, or a loopback one.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - of the protocol
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((str(address), _ANY_PORT))
            source = ipaddress.ip_address(asking.getsockname()[0].partition("%")[0])
    except OSError:
        return False  # no way leads there, or the machine has no such protocol
    return source == address or source.is_loopback
