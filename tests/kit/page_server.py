"""A small web server on loopback for tests: answers with what each path has."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

__all__ = ["Page", "Pages"]


class Page(NamedTuple):
    """An answer. `hold`: the body is not sent before the server ends."""

    body: bytes = b""
    type: str = "text/html"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    hold: bool = False


class Pages:
    """The server; a context manager.

    Args:
        pages: path to answer; other paths are answered with 404.

    Attributes:
        asked: the paths asked for, with the `Host` of each.
    """

    def __init__(self, pages: dict[str, Page]) -> None:
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Host"]))
                outer.headers.append(dict(self.headers))
                page = pages.get(self.path, Page(b"not here", "text/plain", 404))
                self.send_response(page.status)
                self.send_header("Content-Type", page.type)
                self.send_header("Content-Length", str(len(page.body)))
                for name, value in page.headers:
                    self.send_header(name, value)
                self.end_headers()
                if page.hold:
                    ended.wait(30)
                    return
                self.wfile.write(page.body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    """The other side has read enough."""

        self._ended = ended
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
