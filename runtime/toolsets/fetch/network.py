"""Network: the connections of `fetch`, each to an address that has been looked at.

A name is resolved here, once, and the connection goes to what it resolved to. So a name that changes its mind between
check and connection gains nothing. This must be the only way from `fetch` to the network.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

import httpcore2

from ...net.own_addresses import Address, is_own

__all__ = ["CheckedNetwork", "RefusedAddressError", "refusal"]

_METADATA: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure: a public address, which its own network answers
            "192.0.0.192",  # Oracle
            "fd00:ec2::/32",  # Amazon: metadata, credentials of containers, names
            "fd20:ce::254",  # Google
            "fd00:42::42",  # Scaleway
            "fd00:c1::a9fe:a9fe",  # Oracle
        ),
    )
)
"""Where clouds keep a machine's credentials, besides link-local addresses such as 169.254.169.254."""

_METADATA_NAMES: Final = frozenset(
    """
    metadata metadata.google.internal metadata.goog instance-data instance-data.ec2.internal metadata.azure.internal
    metadata.azure.com api.metadata.cloud.ibm.com metadata.tencentyun.com metadata.platformequinix.com
    metadata.packet.net
    """.split()  # noqa: SIM905 - as a list it would be a page
)
"""The same by name, wherever a network lets such a name lead."""

_NEVER: Final = "an address of this machine's own network or cloud, which this tool never reaches"
_UNLESS: Final = "which this tool may not reach (the team file can say `allow_private_ips: true`)"

_PATIENCE: Final = 5.0
"""Seconds for each address of a host but its last."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class RefusedAddressError(Exception):
    """A connection that must not be made; the message says why, for the model."""


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that may be reached.

    Args:
        allow_private: whether private addresses and this machine's own may be reached; link-local ones, and those of a
            cloud's metadata, never are.
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
        if host.lower().rstrip(".") in _METADATA_NAMES:
            raise RefusedAddressError(f"{host} is {_NEVER}.")
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
        await asyncio.sleep(seconds)


def refusal(address: Address, *, allow_private: bool) -> str:
    """Return why an address must not be reached, as the end of a sentence; empty if it may be."""
    within = _embedded(address)
    if within is not None:
        return refusal(within, allow_private=allow_private)
    if address.is_link_local or any(address in network for network in _METADATA):
        return _NEVER
    if address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_loopback):
        return "no address of a server"
    if allow_private:
        return ""
    # The last are private, too, though Python takes them for global.
    if not address.is_global or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local):
        return f"a private address, {_UNLESS}"
    return f"an address of this machine itself, {_UNLESS}" if is_own(address) else ""


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
