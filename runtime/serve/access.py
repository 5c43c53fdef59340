"""Access: who may speak to the MCP server over HTTP: from which addresses, by which names, with which tokens."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["guarded"]

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


def guarded(app: ASGIApp, *, port: int, allowed_hosts: Sequence[str], tokens: Sequence[str]) -> ASGIApp:
    """Return an application that answers only who may ask.

    Args:
        app: answers.
        port: the port that it is reached at.
        allowed_hosts: names, with a port or without, by which it may be called beside those of this machine.
        tokens: each lets in whoever has it; none: whoever reaches it is let in.
    """
    if tokens:
        app = AuthenticationMiddleware(RequireAuthMiddleware(app, []), backend=BearerAuthBackend(_Tokens(tokens)))
    return _Names(app, port, allowed_hosts)


class _Tokens:
    """Knows the tokens; see `TokenVerifier`."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = [token.encode() for token in tokens]

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whose token it is: each token is a client of its own."""
        given = token.encode()
        fitting = [number for number, each in enumerate(self._tokens, 1) if hmac.compare_digest(each, given)]
        return AccessToken(token="", client_id=f"token {fitting[0]}", scopes=[]) if fitting else None


class _Names:
    """Answers only who calls the server by one of its names, and no page of another one: see DNS rebinding."""

    def __init__(self, app: ASGIApp, port: int, allowed_hosts: Sequence[str]) -> None:
        hosts = [host for name in _LOOPBACK for host in (name, f"{name}:{port}")]
        origins = [f"http://{name}:{port}" for name in _LOOPBACK]
        for host in allowed_hosts:
            # A proxy before the server may speak HTTPS, at any port.
            patterns = [host] if _has_port(host) else [host, f"{host}:*"]
            hosts += patterns
            origins += [f"{scheme}://{pattern}" for scheme in ("http", "https") for pattern in patterns]
        self._app = app
        self._check = TransportSecurityMiddleware(
            TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it: 421 for a wrong Host, 403 for a wrong Origin."""
        refusal = await self._check.validate_request(Request(scope))
        await (self._app if refusal is None else refusal)(scope, receive, send)


def _has_port(host: str) -> bool:
    return host.rpartition("]")[2].rpartition(":")[2].isdigit() and ":" in host.rpartition("]")[2]
