"""An HTTP proxy for tests, on loopback: forwards every request to one server, or refuses, and notes what was asked."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

__all__ = ["ProxyServer"]


class ProxyServer:
    """A proxy that runs while it is entered.

    Args:
        target: port on this machine that all requests go to, whatever host they are for.
        status: answers every request with this instead.

    Attributes:
        asked: what was asked for: method and address.
        authorizations: the `Proxy-Authorization` of each request.
    """

    def __init__(self, target: int = 0, *, status: int = 0) -> None:
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                proxy.asked.append(f"{self.command} {self.path}")
                proxy.authorizations.append(self.headers["Proxy-Authorization"])
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if status:
                    self.send_response(status, "refused by the test")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                connection = http.client.HTTPConnection("127.0.0.1", target, timeout=20.0)
                try:
                    connection.request("POST", "/" + self.path.split("/", 3)[3], body, dict(self.headers))
                    answer = connection.getresponse()
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.headers["Content-Type"])
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(answer.read())
                finally:
                    connection.close()

            do_CONNECT = do_POST  # noqa: N815 - the name is the library's

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
