"""Where `fetch` may connect to: every connection is made to an address that has been looked at.

A name is resolved here, once, and the connection goes to what it resolved to: a name that changes its mind between a
check and the connection gains nothing. Must be the only way from `fetch` to the network.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final, TypeAlias

import httpcore2

__all__ = ["CheckedNetwork", "RefusedAddressError", "refusal"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA: Final = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")))
"""Where clouds keep a machine's credentials, besides the link-local 169.254.169.254."""

_PATIENCE: Final = 5.0
"""Seconds for each address of a host but its last."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class RefusedAddressError(Exception):
    """A connection that must not be made; the message says why, for the model."""


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that may be reached.

    Args:
        allow_private: whether private and loopback addresses may be reached; link-local ones never are.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of a host that may be reached and answers.

        Raises:
            RefusedAddressError: it has none that may be reached.
            httpcore2.ConnectError: the name is unknown, or none of the addresses answers.
        """
        addresses = await _resolve(host, port)
        refusals = {address: refusal(address, allow_private=self._allow_private) for address in addresses}
        allowed = [address for address, reason in refusals.items() if not reason]
        if not allowed:
            address, reason = next(iter(refusals.items()))
            raise RefusedAddressError(f"{host} is at {address}, which is {reason}.")
        for address in allowed[:-1]:
            patience = timeout or _PATIENCE
            try:
                return await self._network.connect_tcp(str(address), port, patience, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(str(allowed[-1]), port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def refusal(address: Address, *, allow_private: bool) -> str:
    """Return why an address must not be reached, as the end of a sentence; empty if it may be."""
    within = _embedded(address)
    if within is not None:
        return refusal(within, allow_private=allow_private)
    if address.is_link_local or address in _METADATA:
        return "an address of this machine's own network or cloud, which this tool never reaches"
    if address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_loopback):
        return "no address of a server"
    if not allow_private and not address.is_global:
        return "a private address, which this tool may not reach (the team file can say `allow_private_ips: true`)"
    return ""


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address only wraps."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"the name {host} is not known ({error})") from error
    return list(dict.fromkeys(ipaddress.ip_address(place[4][0]) for place in found))
