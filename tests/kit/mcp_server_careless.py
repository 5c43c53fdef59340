"""An MCP server for tests that breaks its word: schemas that it does not keep to, and answers of a wrong shape.

Written out in JSON-RPC. Run as a program it speaks on standard input and output, and writes a banner first, as careless
servers do.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler
from typing import Any

SCHEMA = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
TEXT = {"type": "text", "text": "the text"}

SCHEMAS: dict[str, Any] = {
    "invalid_schema": {"type": "no such type"},
    "schema_that_is_text": "an object",
    "schema_of_itself": {"$ref": "#"},
    "schema_elsewhere": {"$ref": "https://nowhere.example/schema.json"},
    "schema_with_bad_pattern": {"type": "object", "properties": {"data": {"type": "string", "pattern": "("}}},
    "schema_of_a_list": {"type": "array"},
    "no_schema": None,
}

ANSWERS: dict[str, Any] = {
    "kept": {"content": [TEXT], "structuredContent": {"data": "x"}},
    "text_only": {"content": [TEXT]},
    "null_only": {"content": [TEXT], "structuredContent": None},
    "other_type": {"content": [TEXT], "structuredContent": {"data": 5}},
    "lacking": {"content": [TEXT], "structuredContent": {}},
    "secretive": {"content": [TEXT], "structuredContent": {"data": ["x" * 290 + "s3cret-value"]}},
    "list_for_object": {"content": [], "structuredContent": [1, 2]},
    "structured_only": {"structuredContent": {"data": 5}},
    "image_and_other": {
        "content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}],
        "structuredContent": {"other": "the other"},
    },
    "error_of_its_own": {"content": [TEXT], "structuredContent": {"error": {"code": "E"}}, "isError": True},
    "error_without_text": {"content": [], "structuredContent": {"error": "the reason"}, "isError": True},
    "error_that_is_text": {"content": "the reason", "isError": "yes"},
    "unknown_block": {"content": [{"type": "video", "url": "a.mp4"}, TEXT]},
    "unknown_block_with_text": {"content": [{"type": "markdown", "text": "the text"}]},
    "bare_block": {"content": ["the text"]},
    "single_block": {"content": TEXT},
    "annotated": {"content": [{**TEXT, "annotations": {"audience": "user", "priority": 7}, "_meta": []}]},
    "bare_text": "the text",
    "no_content": {},
    **{name: {"content": [TEXT], "structuredContent": {"data": "x"}} for name in SCHEMAS if name != "schema_of_a_list"},
    "schema_of_a_list": {"content": [TEXT], "structuredContent": [1]},
}


def _tools() -> list[Any]:
    tools: list[Any] = [
        {"name": name, "inputSchema": {"type": "object"}, "outputSchema": SCHEMAS.get(name, SCHEMA)} for name in ANSWERS
    ]
    tools[0] |= {"annotations": "harmless", "icons": "none", "description": ["a", "list"], "inputSchema": None}
    return [*tools, "no tool at all", {"title": "a tool without a name"}]


def answer(message: dict[str, Any]) -> dict[str, Any]:
    """Answer a request."""
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    match message["method"]:
        case "initialize":
            reply["result"] = {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "careless", "version": "1"},
            }
        case "tools/list":
            reply["result"] = {"tools": _tools()}
        case "tools/call":
            reply["result"] = ANSWERS[message["params"]["name"]]
        case method:
            reply["error"] = {"code": -32601, "message": f"there is no {method}"}
    return reply


class OverHttp(BaseHTTPRequestHandler):
    """The same server over HTTP, for `http.server`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a message."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(200, json.dumps(self.answer(message)).encode()) if "id" in message else self._send(202)

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """Answer a request."""
        return answer(message)

    def do_GET(self) -> None:
        """Have no stream of messages."""
        self._send(405)

    do_DELETE = do_GET  # noqa: N815 - the name is the library's

    def _send(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    print("careless server started", flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            print(json.dumps(answer(message)), flush=True)


if __name__ == "__main__":
    main()
