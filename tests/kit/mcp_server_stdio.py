"""An MCP server for tests, on standard input and output, that misbehaves when it is asked to.

Written out in JSON-RPC, without any package, because it speaks the first version of the protocol (2024-11-05) and has
to do what no package lets a server do. Run it as a program; its options:

    --strict        ends at any first message but the greeting, as some servers do
    --deaf          reads and never answers
    --stubborn      ignores SIGTERM and the end of its input
    --pages         lists its tools two at a time
    --no-tools      has none
    --quote         says its API_KEY about itself and its tools, and in the name and the schema of one
    --quirks        has tools with names that no model provider takes
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CALLS: list[str] = []


def _text(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


def _die(_: dict[str, Any]) -> dict[str, Any]:
    print("the last words of the server", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def _hang(_: dict[str, Any]) -> dict[str, Any]:
    while True:
        time.sleep(600)


def _orphan(_: dict[str, Any]) -> dict[str, Any]:
    child = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, stdin=subprocess.DEVNULL, stdout=2)
    return _text(str(child.pid))


def _noise(_: dict[str, Any]) -> dict[str, Any]:
    print("this is no message", flush=True)
    return _text("after the noise")


def _half(_: dict[str, Any]) -> dict[str, Any]:
    return _text("half a \ud83d character")


def _content(*blocks: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda _: {"content": list(blocks)}


TOOLS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "echo": lambda arguments: _text(json.dumps(arguments, sort_keys=True)),
    "pid": lambda _: _text(str(os.getpid())),
    "count": lambda _: _text(str(len(CALLS))),
    "environment": lambda arguments: _text(os.environ.get(arguments["name"], "(not set)")),
    "folder": lambda _: _text(os.getcwd()),  # noqa: PTH109 - the text is what is wanted
    "fail": lambda _: {**_text("the disk is full"), "isError": True},
    "fail_silently": lambda _: {"content": [], "isError": True},
    "long": lambda arguments: _text("x" * int(arguments["length"])),
    "die": _die,
    "hang": _hang,
    "orphan": _orphan,
    "noise": _noise,
    "half": _half,
    "nothing": _content(),
    "image": _content({"type": "image", "data": PIXEL, "mimeType": "image/png"}),
    "page": _content(
        {"type": "resource", "resource": {"uri": "file:///notes.txt", "mimeType": "text/plain", "text": "the notes"}}
    ),
    "blob": _content(
        {"type": "resource", "resource": {"uri": "file:///a.bin", "mimeType": "application/zip", "blob": PIXEL}}
    ),
    "nonsense": lambda _: {"content": "this should be a list"},
}
QUIRKS = ["a.b/c", "a_b_c", "x" * 80]


def _tools(cursor: str | None) -> dict[str, Any]:
    names = list(TOOLS) + (QUIRKS if "--quirks" in sys.argv else [])
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"text": {"type": "string"}, "nullable": {"type": ["string", "null"]}},
    }
    quoted = os.environ["API_KEY"] if "--quote" in sys.argv else ""
    tools = [{"name": name, "description": f"Does {quoted or name}.", "inputSchema": schema} for name in names]
    if quoted:
        inner = {"type": "string", "description": f"Not {quote(quoted, safe='')}", "enum": [quoted], "default": quoted}
        quoting = {"type": "object", "properties": {"text": inner}}
        tools.append({"name": f"say_{quoted}", "description": "".join(map("%{:02x}".format, quoted.encode()))})
        tools[-1]["inputSchema"] = quoting
    if "--no-tools" in sys.argv:
        return {"tools": []}
    if "--pages" not in sys.argv:
        return {"tools": tools}
    start = int(cursor or 0)
    return {"tools": tools[start : start + 2], **({"nextCursor": str(start + 2)} if start + 2 < len(tools) else {})}


def _answer(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        return {
            "protocolVersion": "2024-11-05",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "script", "version": "1"},
            "instructions": f"I know {os.environ['API_KEY']}."
            if "--quote" in sys.argv
            else "Ask for one thing at a time.",
        }
    if method == "tools/list":
        return {"result": None, **_tools(parameters.get("cursor"))}
    if method == "tools/call" and parameters["name"] != "refuse":
        CALLS.append(parameters["name"])
        return TOOLS.get(parameters["name"], TOOLS["echo"])(parameters.get("arguments", {}))
    raise ValueError(f"the server refuses {method}")


def main() -> None:
    if "--stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    first = True
    for line in sys.stdin:
        message = json.loads(line)
        if "--strict" in sys.argv and first and message["method"] != "initialize":
            sys.exit("expected a greeting")
        first = False
        if "id" not in message or "--deaf" in sys.argv:
            continue
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            reply["result"] = _answer(message["method"], message.get("params") or {})
        except ValueError as error:
            reply["error"] = {"code": -32601, "message": str(error)}
        print(json.dumps(reply), flush=True)
    while "--stubborn" in sys.argv:
        time.sleep(600)


if __name__ == "__main__":
    TOOLS["refuse"] = TOOLS["echo"]
    main()
