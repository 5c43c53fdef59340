"""A model's server for tests: OpenAI's streaming chat completions on loopback, answering what a script says.

    with ModelServer([Calls(("think", {"thought": "hm"})), Text("The answer.")]) as server:
        ...  # point `base_url` at server.base_url
    assert server.requests[1].tool_answers == ["…"]

A script is one of
- a list of replies, given in the order in which requests arrive (retries are requests too);
- a mapping from agent to its list of replies, for whole teams: the key that is the request's model name is taken, or
  else the first one that occurs in its system prompt, and the conversation's turn (how many assistant messages it has)
  picks the reply, so that any number of tasks may run the same agent at once;
- a function from `Request` to a reply, called in the thread of the request: it may block, for instance on a
  `threading.Barrier` that proves that two tasks are alive at one moment.

Replies: `Text`, `Calls`, `Refusal`, `Status` (an error), `Stall` (silence), `KeepAlive` (comments for ever), `Cut` (a
connection that breaks), `Raw` (any body at all) and `Chunks` (events spelled out, for servers with their own habits).

Every request is recorded. What a script raises is answered with status 400, and raised again when the `with` ends.
Then all threads and sockets are gone, too, whatever clients still do.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self

from model_replies import (
    Calls,
    Chunks,
    Cut,
    KeepAlive,
    Raw,
    Refusal,
    Reply,
    Request,
    Stall,
    Status,
    Text,
    Wire,
    shut_down,
)

__all__ = [
    "MODELS",
    "Calls",
    "Chunks",
    "Cut",
    "KeepAlive",
    "ModelServer",
    "Raw",
    "Refusal",
    "Reply",
    "Request",
    "Stall",
    "Status",
    "Text",
]

Script = Callable[[Request], Reply] | Sequence[Reply] | Mapping[str, Sequence[Reply]]


MODELS = ("text-embedding-small", "listed: 1")
"""What it says its models are, to whoever asks; it answers for any other, too."""


class ModelServer:
    """The server; a context manager.

    Args:
        script: see the module.
        port: where it listens, so that one may follow another at the same address; 0: wherever there is room.

    Attributes:
        base_url: what a model's `base_url` has to be.
    """

    def __init__(self, script: Script, port: int = 0) -> None:
        self._replies = _as_function(script)
        self._state = threading.Condition()
        self._requests: list[Request] = []
        self._failures: list[Exception] = []
        self._connections: set[socket.socket] = set()
        self._disconnects = 0
        self._held_until, self._release = socket.socketpair()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="model server")
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self.release()
        with self._state:
            for connection in self._connections:
                shut_down(connection)
        self._server.server_close()
        self._held_until.close()
        if self._failures and error is None:
            raise self._failures[0]

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in the order of their arrival."""
        with self._state:
            return list(self._requests)

    @property
    def authorizations(self) -> list[str | None]:
        """The authorization header of each request."""
        return [request.headers.get("authorization") for request in self.requests]

    def wait_for_requests(self, count: int, timeout: float = 20.0) -> None:
        """Return when so many requests have arrived; fail after `timeout` seconds."""
        with self._state:
            assert self._state.wait_for(lambda: len(self._requests) >= count, timeout), self._requests

    def wait_for_disconnects(self, count: int, timeout: float = 20.0) -> None:
        """Return when so many clients have closed a connection that a `Stall` held; fail after `timeout` seconds."""
        with self._state:
            assert self._state.wait_for(lambda: self._disconnects >= count, timeout), self._disconnects

    def release(self) -> None:
        """Let every stalled reply go on, now and from now on."""
        self._release.close()

    # What follows is called by the request threads.

    def reply_to(self, request: Request) -> tuple[int, Reply]:
        """Record a request and return its number and the reply to it."""
        with self._state:
            self._requests.append(request)
            number = len(self._requests)
            self._state.notify_all()
        try:
            return number, self._replies(request)
        except Exception as error:  # noqa: BLE001 - raised again at the end of the test
            with self._state:
                self._failures.append(error)
            return number, Status(400, f"the test's script failed: {type(error).__name__}: {error}")

    def connected(self, connection: socket.socket) -> None:
        """Note a connection, to end it with the server."""
        with self._state:
            self._connections.add(connection)

    def disconnected(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._state:
            self._connections.discard(connection)

    def hold(self, connection: socket.socket) -> bool:
        """Wait until stalled replies may go on (True), or the client has closed the connection (False)."""
        ready, _, _ = select.select([connection, self._held_until], [], [])
        if self._held_until in ready:
            return True
        with self._state:
            self._disconnects += 1
            self._state.notify_all()
        return False


class _Server(socketserver.ThreadingTCPServer):
    # Not http.server's, which looks up its own name in the DNS.
    allow_reuse_address = True
    daemon_threads = False  # joined by server_close
    request_queue_size = 128

    def __init__(self, owner: ModelServer, port: int) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle(self) -> None:
        self.server.owner.connected(self.connection)
        # Clients that die or are cancelled are what many tests are about.
        with contextlib.suppress(ConnectionError):
            super().handle()
        self.server.owner.disconnected(self.connection)

    def finish(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().finish()

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]}).encode()
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        request = Request(
            body=json.loads(data),
            headers={name.lower(): value for name, value in self.headers.items()},
            time=time.monotonic(),
        )
        wire = Wire(self, 0, request, self.server.owner.hold)
        if self.path != "/v1/chat/completions":
            wire.whole(404, "application/json", '{"error": {"message": "no such path"}}', {})
            return
        wire.number, reply = self.server.owner.reply_to(request)
        reply.send(wire)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def _as_function(script: Script) -> Callable[[Request], Reply]:
    if callable(script):
        return script
    if isinstance(script, Mapping):
        return lambda request: _agent_replies(script, request)[request.turn]
    arrivals = iter(script)
    lock = threading.Lock()

    def next_reply(request: Request) -> Reply:
        with lock:
            reply = next(arrivals, None)
        assert reply is not None, f"the script has no reply for one more request: {request.messages[-1]}"
        return reply

    return next_reply


def _agent_replies(script: Mapping[str, Sequence[Reply]], request: Request) -> Sequence[Reply]:
    if request.model in script:
        return script[request.model]
    found = next((replies for key, replies in script.items() if key in request.system), None)
    assert found is not None, f"the script has no agent for model {request.model!r} and prompt {request.system!r}"
    return found
