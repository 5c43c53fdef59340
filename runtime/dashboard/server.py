"""Server: serves the dashboard on 127.0.0.1, until a signal ends it.

Everything it is made of is imported here, so nothing else imports it before it is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ...actors.regular_files import make
from ..errors import StateError
from ..net.web_server import config_of
from ..watching.resumed import Resumed
from .access import HOSTS, Guard, SafeHeaders, new_token
from .api import Api
from .feed import Feed

__all__ = ["Dashboard", "application"]

_PAGE: Final = Path(__file__).parent / "page"

_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

_SIGNALLED: Final = 128
"""Added to a signal's number: what shells call a program that it ended."""

_WRONG: Final = 400
"""The status of a request that makes no sense; the API says why."""

_DOOR: Final = """<!doctype html><meta charset="utf-8"><title>subactors</title>
<meta http-equiv="refresh" content="0;url={address}"><p><a href="{address}">The dashboard</a></p>
"""


def application(
    feed: Feed,
    resumed: Resumed,
    token: str,
    *,
    read_only: bool = False,
    begins: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """Return the dashboard as an ASGI application.

    Args:
        feed: what is known.
        resumed: continues tasks.
        token: what whoever asks has to have.
        read_only: whether nothing can be changed.
        begins: is called in the server's thread when it begins to serve, and must not wait.
    """
    files = {path.name: path for path in _PAGE.iterdir() if path.suffix in _TYPES}

    def file(name: str) -> Response:
        path = files[name]
        return Response(path.read_bytes(), media_type=_TYPES[path.suffix])

    async def page(_: Request) -> Response:
        return file("index.html")

    async def part(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise HTTPException(404)
        return file(name)

    async def not_found(_: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            is_known = error.status_code == _WRONG
            return JSONResponse({"error": error.detail if is_known else "There is nothing here."}, error.status_code)
        return JSONResponse({"error": "The dashboard has a fault; the terminal that it runs in shows it."}, 500)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        begins()
        yield
        await asyncio.to_thread(resumed.close)
        feed.close()

    api = Api(feed, resumed, read_only=read_only)
    app = Starlette(
        routes=[Route("/", page), Route("/page/{name}", part), *api.routes()],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            Middleware(Guard, token=token),
        ],
        exception_handlers={HTTPException: not_found, Exception: not_found},
        lifespan=lifespan,
    )
    return SafeHeaders(app)  # around all of it: what answers after a fault is outside of any middleware


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class Dashboard:
    """The server, with its socket: it listens from its making on.

    Attributes:
        address: what a browser opens; the token is in it.

    Args:
        root: the state folder.
        port: where it listens; 0: a free one.
        read_only: whether nothing can be changed.
        only: the name of the only run that is shown; None: all.

    Raises:
        StateError: the port cannot be had.
    """

    def __init__(self, root: Path, *, port: int = 0, read_only: bool = False, only: str | None = None) -> None:
        self._root, self._read_only, self._only = root, read_only, only
        self._token = new_token()
        self._begins: Callable[[], None] = lambda: None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError as error:
            self._socket.close()
            raise StateError(
                f"The port {port} of 127.0.0.1 cannot be had: {error.strerror or error}. Choose another with --port."
            ) from error
        self._socket.listen()
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}/#token={self._token}"

    def serve(self, heard: Callable[[], None] | None = None) -> None:
        """Serve until SIGINT, SIGTERM or SIGHUP; in the main thread.

        Args:
            heard: is called as soon as signals are heard.

        Raises:
            KeyboardInterrupt: it was SIGINT.
            SystemExit: it was another.
        """
        feed = Feed(self._root, self._only)
        resumed = Resumed(self._root)
        app = application(feed, resumed, self._token, read_only=self._read_only, begins=self._begins)
        server = _Server(config_of(app, timeout_graceful_shutdown=1, lifespan="on"))
        ended_by: list[int] = []

        def end(number: int, _: object) -> None:
            # It may come before the server has begun, too: that ends as soon as it has.
            ended_by.append(number)
            feed.hang_up()  # of streams that it would cut off it complains
            server.handle_exit(number, None)

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            if heard is not None:
                heard()
            server.run(sockets=[self._socket])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._socket.close()
        if signal.SIGINT in ended_by[:1]:
            raise KeyboardInterrupt
        if ended_by:
            raise SystemExit(_SIGNALLED + ended_by[0])

    @contextlib.contextmanager
    def opened(self, has_no_browser: Callable[[], None]) -> Iterator[None]:
        """Have the user's browser open the page, as soon as it is served; inside of the block.

        It is given a file, which only the user can read and which leads there: every user sees what a program is
        started with.

        Args:
            has_no_browser: is called in a thread of its own if none is found.
        """
        path = self._root / f".dashboard_{os.getpid()}_{secrets.token_hex(4)}.html"

        def open_it() -> None:
            if not webbrowser.open(path.as_uri()):
                has_no_browser()

        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = make(path)
        try:
            os.write(descriptor, _DOOR.format(address=html.escape(self.address)).encode())
            os.close(descriptor)
            # Not in the server's thread: some browsers come back when the user has closed them.
            self._begins = threading.Thread(target=open_it, name="subactors-browser", daemon=True).start
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
