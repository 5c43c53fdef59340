"""Access: who may ask the dashboard's server, and what a browser may do with its page.

Three things are checked. The Host says that the browser was sent here and nowhere else (against DNS rebinding). A token
says that whoever asks has read the printed address. The Origin of whatever changes something is this very server.

There is no cookie: the cookies of one port of 127.0.0.1 are sent to every other, so another server that the browser
visits would be given the token. The page keeps it in its own storage, and sends it in a header.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HOSTS", "Guard", "SafeHeaders", "new_token"]

HOSTS: Final = ["127.0.0.1", "localhost", "[::1]"]
"""What a browser on this machine, or at the other end of a tunnel, calls the server."""

_TOKEN_BYTES: Final = 24

_API: Final = "/api"

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of every answer. Scripts and styles come from here; nothing makes text into markup; no other page shows this one."""


def new_token() -> str:
    """Return a new token: 192 random bits, in characters of an address."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class SafeHeaders:
    """Puts headers on every answer; see the module.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request; see ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Guard:
    """Answers whoever may not ask, and hands on all else; see the module. The Host has been looked at before.

    Args:
        app: what it guards.
        token: what whoever asks has to have.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request; see ASGI."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        """Return why a request is refused; None if it is not."""
        headers = Headers(scope=scope)
        if scope["path"].startswith(_API):
            given = headers.get("authorization", "").encode("latin-1", "replace")
            if not hmac.compare_digest(given, self._expected):
                return _no(401, "Open the address that `subactors dashboard` has printed: the token is in it.")
        if scope["method"] not in {"GET", "HEAD"} and headers.get("origin") != f"http://{headers.get('host')}":
            return _no(403, "Only the dashboard's own page changes anything.")
        return None


def _no(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, status)
