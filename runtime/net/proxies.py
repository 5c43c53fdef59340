"""Proxies: chooses the proxy for a server, as the environment says, and names whose fault it is when one does not work.

The HTTP library would make a client for every proxy that the environment names, needed or not, and fail where it cannot
make one of them. So it is told to leave the environment alone, and the one proxy for one address is chosen here. No
message shows user or password of a proxy. Nothing here imports anything slow; `connection_options` uses the library,
which its callers have imported.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ..text import one_line
from .own_addresses import Address, is_own

__all__ = ["Proxy", "ProxyError", "connection_options", "proxy_for"]

_PORTS: Final = MappingProxyType({"http": 80, "https": 443})
_KINDS: Final = MappingProxyType(
    # `socks` is what desktops write into the variable.
    {"http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5h", "socks": "socks5"}
)
_SHOWN_REASON: Final = 300


class ProxyError(ValueError):
    """The proxy for an address cannot be used; the message is a sentence with the remedy, and holds no secret."""


@dataclass(frozen=True)
class Proxy:
    """The proxy over which an address is reached.

    Attributes:
        address: scheme, host and port; no user, no password.
        variable: the environment variable that names it.
        target: the host that is reached over it.
        user: for the proxy; empty for none.
        password: for the proxy; empty for none.
    """

    address: str
    variable: str
    target: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not appear in any message."""
        return (self.password, f"{self.user}:{self.password}") if self.password else ()

    @property
    def way(self) -> str:
        """A sentence for messages about a server that may be the proxy's doing."""
        return f"It is reached through the proxy {self.address}, which {self.variable} names: it may be the proxy."

    @property
    def asks_for_password(self) -> str:
        """The sentence for a proxy that answers with status 407."""
        given = "does not accept the user and password in" if self.user else "asks for a user and password; put them in"
        return f"the proxy {self.address} {given} {self.variable} (http://user:password@host:port)."

    def blame(self, error: BaseException | None) -> str:
        """Say what the proxy did wrong, if it was the proxy; empty if that cannot be told from the error.

        Args:
            error: of the HTTP library, or of the one for models, which has the status that was answered.
        """
        kind = type(error).__name__
        if getattr(error, "status_code", 0) == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return self.asks_for_password
        said = one_line(str(error), _SHOWN_REASON) or kind
        remedy = f"Correct or unset {self.variable}, or name {self.target} in NO_PROXY."
        if kind == "ProxyError":
            if re.match(r"407\b", said) or "username/password" in said:
                return self.asks_for_password
            return f"the proxy {self.address} refused to connect to {self.target} ({said}). {remedy}"
        # Every connection is one to the proxy. A secure one goes on to the server, and may fail there.
        if kind == "ConnectTimeout" or (kind == "ConnectError" and "ssl" not in said.lower()):
            return f"the proxy {self.address} cannot be reached ({said}). Is it running? {remedy}"
        return ""


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy over which an address is reached; None if it is reached directly.

    A server on this machine is always reached directly: no proxy elsewhere could find it.

    Args:
        url: the server's address.
        environ: of the process that connects.

    Raises:
        ProxyError: the proxy is needed, and its variable holds no address, or a package for it is not installed.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None  # whoever connects will say that it is not an address
    variable, value = _named(parts.scheme, environ)
    if not value or _is_local(host) or any(_excepts(entry, parts.scheme, host, port) for entry in _exceptions(environ)):
        return None
    proxy = _parsed(value, variable, host)
    if proxy.address.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ProxyError(
            f"{host} is reached through the SOCKS proxy {proxy.address}, which {variable} names, and the package "
            "`socksio` for that is not installed. Install it (pip install 'httpx2[socks]'), unset the variable, or "
            f"name {host} in NO_PROXY."
        )
    return proxy


def connection_options(proxy: Proxy | None) -> dict[str, Any]:
    """Return the arguments of an HTTP client that uses this proxy or none, whatever the environment says."""
    if proxy is None:
        return {"trust_env": False}
    import httpx2  # noqa: PLC0415 - most of what imports this module makes no client

    auth = (proxy.user, proxy.password) if proxy.user or proxy.password else None
    return {"trust_env": False, "proxy": httpx2.Proxy(proxy.address, auth=auth)}


def _named(scheme: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that names the proxy for a scheme, and what it holds; lower case wins, as with curl."""
    for kind in (scheme, "all"):
        lower, upper = f"{kind}_proxy", f"{kind}_proxy".upper()
        # A web server sets HTTP_PROXY from a header that anybody may send.
        names = [lower] if lower in environ or (kind == "http" and "REQUEST_METHOD" in environ) else [upper]
        for name in names:
            if value := environ.get(name, "").strip():
                return name, value
    return "", ""


def _exceptions(environ: Mapping[str, str]) -> list[str]:
    value = environ["no_proxy"] if "no_proxy" in environ else environ.get("NO_PROXY", "")
    return [entry for entry in re.split(r"[\s,;]+", value.lower()) if entry]


def _excepts(entry: str, scheme: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY means a server: `*`, a host or domain, an address or network, with a port or not."""
    if entry == "*":
        return True
    of_scheme, found, rest = entry.partition("://")
    if found:
        if of_scheme not in {scheme, "all"}:
            return False
        entry = rest.rstrip("/")
    network, address = _network(entry), _address(host)
    if network is None and (ported := re.fullmatch(r"(.*?):(\d+)", entry)):
        if int(ported[2]) != port:
            return False
        entry = ported[1]
        network = _network(entry)
    if network is not None:
        return address is not None and address in network
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _is_local(host: str) -> bool:
    """Whether a host is this machine, by one of the names or addresses that it has."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost") or host == socket.gethostname().lower()
    return address.is_loopback or address.is_unspecified or is_own(address)


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network, or the single address, that an entry is; None if it is a name."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _parsed(value: str, variable: str, target: str) -> Proxy:
    """Return the proxy that a variable's value names."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value.lstrip('/')}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _no_proxy(variable, target, "it is not an address") from None
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        raise _no_proxy(variable, target, f"there is no way to speak to a proxy of kind {one_line(parts.scheme, 20)!r}")
    if not host or not _is_host(host):
        raise _no_proxy(variable, target, "it names no host")
    shown = f"[{host}]" if ":" in host else host
    port = port or (_PORTS.get(kind) or 1080)
    user, password = (unquote(text or "") for text in (parts.username, parts.password))
    return Proxy(f"{kind}://{shown}:{port}", variable, target, user, password)


def _is_host(text: str) -> bool:
    """Whether the HTTP library could connect to a host of this name."""
    if ":" in text or re.fullmatch(r"[\d.]+", text):
        return _address(text) is not None
    try:
        return re.fullmatch(r"[\w.-]+", text.encode("idna").decode(), re.ASCII) is not None
    except UnicodeError:
        return False


def _no_proxy(variable: str, target: str, fault: str) -> ProxyError:
    return ProxyError(
        f"{target} is reached through the proxy that {variable} names, and what that variable holds cannot be used: "
        f"{fault}. Write it like http://host:port or socks5://host:port, unset it, or name {target} in NO_PROXY."
    )
