"""The replies of `model_server`, and how each is written on a connection; import them from there."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

__all__ = [
    "Calls",
    "Chunks",
    "Cut",
    "KeepAlive",
    "Raw",
    "Refusal",
    "Reply",
    "Request",
    "Stall",
    "Status",
    "Text",
    "Wire",
    "shut_down",
]

_PIECE = 7
"""Characters of text or arguments in one event: odd and short, so that pieces end anywhere."""


@dataclass(frozen=True)
class Request:
    """One request as it came.

    Attributes:
        body: the parsed JSON.
        headers: names in lower case.
        time: when it arrived, on the monotonic clock.
    """

    body: dict[str, Any]
    headers: Mapping[str, str]
    time: float

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.body.get("model", ""))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    @property
    def system(self) -> str:
        """All system messages, with blank lines between them."""
        return "\n\n".join(str(message["content"]) for message in self.messages if message["role"] == "system")

    @property
    def turn(self) -> int:
        """How many answers of the model the conversation holds already."""
        return sum(message["role"] == "assistant" for message in self.messages)

    @property
    def tools(self) -> list[str]:
        """Names of the tools that may be called."""
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]

    @property
    def tool_answers(self) -> list[str]:
        """What the tools answered to the last turn's calls, in the order of the conversation."""
        last = itertools.takewhile(lambda message: message["role"] == "tool", reversed(self.messages))
        return [message["content"] for message in last][::-1]


class Reply(ABC):
    """What a request is answered with."""

    @abstractmethod
    def send(self, wire: Wire) -> None:
        """Write the answer; runs in the thread of the request."""


class Wire:
    """One connection's side of one reply.

    Args:
        handler: has the connection.
        number: counts the requests; makes ids unique.
        request: what is replied to.
        hold: see `hold`.
    """

    def __init__(
        self, handler: BaseHTTPRequestHandler, number: int, request: Request, hold: Callable[[socket.socket], bool]
    ) -> None:
        self.number = number
        self._handler = handler
        self._request = request
        self._hold = hold
        self._opened = False

    def open(self) -> None:
        """Send the head of a stream, once."""
        if self._opened:
            return
        self._opened = True
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "text/event-stream")
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    @property
    def is_streamed(self) -> bool:
        """Whether a stream was asked for, as subactors itself always does."""
        return self._request.body.get("stream") is True

    def completion(self, message: dict[str, Any], finish: str | None, usage: tuple[int, int] | None) -> None:
        """Send an answer that is no stream."""
        prompt, completion = usage or (0, 0)
        body = {
            "id": f"chatcmpl-{self.number}",
            "object": "chat.completion",
            "created": 0,
            "model": self._request.model,
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        }
        self.whole(200, "application/json", json.dumps(body), {})

    def delta(self, delta: dict[str, Any], finish: str | None = None) -> None:
        """Send an event with a delta of the first choice."""
        self._chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def finish(self, reason: str | None, usage: tuple[int, int] | None) -> None:
        """End the stream as OpenAI does: finish reason, usage where it was asked for, `[DONE]`."""
        if reason is not None:
            self.delta({}, reason)
        if usage is not None and (self._request.body.get("stream_options") or {}).get("include_usage"):
            prompt, completion = usage
            figures = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
            self._chunk({"choices": [], "usage": figures})
        self.close(done=True)

    def event(self, data: str) -> None:
        """Send one event."""
        self._write(f"data: {data}\n\n".encode())

    def comment(self) -> None:
        """Send a comment, which says nothing but that the server is there."""
        self._write(b": still here\n\n")

    def close(self, *, done: bool) -> None:
        """End the stream."""
        if done:
            self.event("[DONE]")
        self._handler.wfile.write(b"0\r\n\r\n")

    def whole(self, code: int, content_type: str, body: str, headers: Mapping[str, str]) -> None:
        """Send a response that is no stream."""
        data = body.encode()
        self._handler.send_response(code)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(data)), **headers}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._handler.wfile.write(data)

    def hold(self) -> bool:
        """Wait until stalled replies may go on (True), or the client has closed the connection (False)."""
        released = self._hold(self._handler.connection)
        self._handler.close_connection = not released
        return released

    def break_off(self) -> None:
        """Close the connection in the middle of things."""
        self._handler.close_connection = True
        shut_down(self._handler.connection)

    def _chunk(self, fields: dict[str, Any]) -> None:
        head = {"id": f"chatcmpl-{self.number}", "object": "chat.completion.chunk", "created": 0}
        self.event(json.dumps({**head, "model": self._request.model, **fields}))

    def _write(self, data: bytes) -> None:
        self._handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


@dataclass(frozen=True)
class Text(Reply):
    """Says something.

    Attributes:
        content: the text, sent in pieces.
        usage: prompt and completion tokens, sent in a last event if they were asked for; None sends none.
        finish: the finish reason; None sends none.
    """

    content: str
    usage: tuple[int, int] | None = (10, 5)
    finish: str | None = "stop"

    def send(self, wire: Wire) -> None:
        if not wire.is_streamed:
            wire.completion({"content": self.content}, self.finish, self.usage)
            return
        wire.open()
        for piece in _pieces(self.content):
            wire.delta({"content": piece})
        wire.finish(self.finish, self.usage)


class Calls(Reply):
    """Asks for tool calls; the pieces of several calls come interleaved.

    Args:
        calls: name and arguments of each; a string goes out as it is, valid JSON or not.
        text: said before them.
        usage: see `Text`.
        finish: the finish reason.
    """

    def __init__(
        self,
        *calls: tuple[str, dict[str, Any] | str],
        text: str = "",
        usage: tuple[int, int] | None = (10, 5),
        finish: str = "tool_calls",
    ) -> None:
        self.calls = calls
        self.text = text
        self.usage = usage
        self.finish = finish

    def send(self, wire: Wire) -> None:
        texts = [arguments if isinstance(arguments, str) else json.dumps(arguments) for _, arguments in self.calls]
        if not wire.is_streamed:
            functions = [{"name": name, "arguments": text} for (name, _), text in zip(self.calls, texts, strict=True)]
            calls = [
                {"id": f"call_{wire.number}_{index}", "type": "function", "function": function}
                for index, function in enumerate(functions)
            ]
            wire.completion({"content": self.text or None, "tool_calls": calls}, self.finish, self.usage)
            return
        wire.open()
        for piece in _pieces(self.text):
            wire.delta({"content": piece})
        for index, (name, _) in enumerate(self.calls):
            function = {"name": name, "arguments": ""}
            entry = {"index": index, "id": f"call_{wire.number}_{index}", "type": "function", "function": function}
            wire.delta({"tool_calls": [entry]})
        for pieces in itertools.zip_longest(*map(_pieces, texts)):
            for index, piece in enumerate(pieces):
                if piece is not None:
                    wire.delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        wire.finish(self.finish, self.usage)


@dataclass(frozen=True)
class Refusal(Reply):
    """Refuses, in so many words."""

    words: str

    def send(self, wire: Wire) -> None:
        wire.open()
        for piece in _pieces(self.words):
            wire.delta({"refusal": piece})
        wire.finish("stop", (10, 5))


@dataclass(frozen=True)
class Status(Reply):
    """Fails with an HTTP status.

    Attributes:
        code: the status.
        message: goes into an error object of OpenAI's form.
        headers: sent with it; `{"x-should-retry": "false"}` keeps the client library from trying again.
        body: the whole body, in place of the error object.
    """

    code: int
    message: str = "as the script has it"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None

    def send(self, wire: Wire) -> None:
        error = {"error": {"message": self.message, "type": "scripted", "code": None}}
        wire.whole(self.code, "application/json", self.body or json.dumps(error), self.headers)


@dataclass(frozen=True)
class Stall(Reply):
    """Falls silent, and holds the connection until `ModelServer.release()`, the client's end or the server's.

    Attributes:
        after: said before it; None: silent before even the status line.
        then: what is said once released.
        usage: prompt and completion tokens so far, told before it, as some servers do; None tells none.
    """

    after: str | None = ""
    then: str = "released"
    usage: tuple[int, int] | None = None

    def send(self, wire: Wire) -> None:
        if self.after is not None:
            wire.open()
            for piece in _pieces(self.after):
                wire.delta({"content": piece})
            if self.usage is not None:
                usage = dict(zip(("prompt_tokens", "completion_tokens"), self.usage, strict=True))
                wire.event(json.dumps({"choices": [], "usage": usage}))
        if wire.hold():
            wire.open()
            wire.delta({"content": self.then})
            wire.finish("stop", (10, 5))


class KeepAlive(Reply):
    """Says nothing, and sends a comment fifty times a second until the client has gone."""

    def send(self, wire: Wire) -> None:
        wire.open()
        while True:
            wire.comment()
            time.sleep(0.02)


@dataclass(frozen=True)
class Cut(Reply):
    """Breaks the connection.

    Attributes:
        after: said before it; None: broken before even the status line.
    """

    after: str | None = ""

    def send(self, wire: Wire) -> None:
        if self.after is not None:
            wire.open()
            for piece in _pieces(self.after):
                wire.delta({"content": piece})
        wire.break_off()


@dataclass(frozen=True)
class Raw(Reply):
    """Sends a body as it is, with a length."""

    body: str
    content_type: str = "text/html"
    code: int = 200

    def send(self, wire: Wire) -> None:
        wire.whole(self.code, self.content_type, self.body, {})


class Chunks(Reply):
    """Sends these events and nothing else.

    Args:
        events: the data of each; a string goes out as it is.
        done: whether `[DONE]` ends them.
    """

    def __init__(self, *events: dict[str, Any] | str, done: bool = True) -> None:
        self.events = events
        self.done = done

    def send(self, wire: Wire) -> None:
        wire.open()
        for event in self.events:
            wire.event(event if isinstance(event, str) else json.dumps(event))
        wire.close(done=self.done)


def _pieces(text: str) -> Iterable[str]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def shut_down(connection: socket.socket) -> None:
    """End both directions of a connection, whether or not the client was first."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
