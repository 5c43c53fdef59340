"""The picture of an MCP client's session: what it and `subactors mcp --http` say to each other, as it came.

    python tools/draw_mcp_session.py                  # docs/pictures/mcp-session.svg

Server, client and tasks are real ones: the client is the official Python package, which the runtime needs anyway.
Agents are functions below, so that no model is asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import mcp_types as types
from mcp.client.client import Client
from subactors.runtime import EntrypointTask

__all__ = ["read", "release"]

TARGET: Final = Path(__file__).parents[1] / "docs" / "pictures" / "mcp-session.svg"

TEAM: Final = {
    "agents": {
        "root": {
            "entrypoint": "draw_mcp_session:read",
            "sub_agents": ["reader", "release"],
            "toolsets": [{"type": "background_agents"}],
        },
        "reader": {"entrypoint": "draw_mcp_session:read"},
        "release": {"entrypoint": "draw_mcp_session:release"},
    }
}

_WIDTH: Final = 1000
_CLIENT: Final = 70
_SERVER: Final = 930
"""Where the lines of the two are."""

_ROW: Final = 34
_TOP: Final = 60
_LONGEST: Final = 118

_STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .who { font-weight: 600 } .quiet { fill: #59636e }
.ground { fill: #ffffff } .line { stroke: #d8dee4 } .asks { stroke: #0969da } .tells { stroke: #59636e }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .quiet { fill: #9198a1 } .ground { fill: #0d1117 } .line { stroke: #30363d }
.asks { stroke: #4493f8 } .tells { stroke: #9198a1 }
}
"""


def read(task: EntrypointTask) -> str:
    """Read for a second."""
    for page in range(1, 8):
        task.emit(f"page {page} of 7\n")
        task.wait_for_stop(0.25)
    return "It is about lighthouses."


def release(task: EntrypointTask) -> str:
    """Ask a person."""
    task.wait_for_stop(0.6)
    return f"The report is {task.ask('Publish the report?', choices=['publish', 'keep'], to='person')}ed."


class _Session:
    """What is said, in its order: when, whether the client says it, and whether it is a request."""

    def __init__(self) -> None:
        self.said: list[tuple[float, bool, bool, str]] = []
        self._began = time.monotonic()

    def note(self, words: str, *, of_client: bool = False, asks: bool = False) -> None:
        self.said.append((time.monotonic() - self._began, of_client, asks, words))

    async def called(self, client: Client, name: str, **arguments: Any) -> Any:
        """Call a tool, and return what it answers."""
        self.note(f"tools/call {name} {json.dumps(arguments)}", of_client=True, asks=True)
        answer = await client.call_tool(name, arguments, progress_callback=self._see)
        data = answer.structured_content or {}
        tasks = [f"{task['agent']}: {task['status']}, {task['result']!r}" for task in data.get("tasks", ())]
        self.note(f"result: {'; '.join(tasks) if tasks else json.dumps({'task_id': data['task_id']})}")
        return data

    async def _see(self, _progress: float, _total: float | None, message: str | None) -> None:
        self.note(f"notifications/progress {' · '.join((message or '').splitlines())}")

    async def hear(self, params: types.LoggingMessageNotificationParams) -> None:
        """Take a notice of an end."""
        self.note(f"notifications/message {params.level}: {params.data['message']}")

    async def answer(self, _: Any, params: Any) -> types.ElicitResult:
        """Answer as the client's user."""
        self.note(f"elicitation/create {params.message}", asks=True)
        await asyncio.sleep(0.8)
        self.note('accept {"answer": "publish"}', of_client=True)
        return types.ElicitResult(action="accept", content={"answer": "publish"})


async def _take_part(url: str) -> _Session:
    session = _Session()
    async with Client(url, elicitation_callback=session.answer, logging_callback=session.hear) as client:
        ids = []
        for agent, task in (("reader", "Read it."), ("release", "Publish the report.")):
            ids.append((await session.called(client, "run_background_agent", agent=agent, task=task))["task_id"])
        await session.called(client, "wait_background_agents", task_ids=ids)
        await asyncio.sleep(0.3)  # notices of the ends come by another stream
    return session


def draw(session: _Session) -> str:
    """Return the picture."""
    height = _TOP + len(session.said) * _ROW + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="title">',
        f'<style>{_STYLE}</style><title id="title">The session of an MCP client</title>',
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
    ]
    for x, who in ((_CLIENT, "MCP client"), (_SERVER, "subactors mcp")):
        lines.append(f'<text class="who" x="{x}" y="24" text-anchor="middle">{who}</text>')
        lines.append(f'<path class="line" d="M{x} 34V{height - 8}"/>')
    for number, (at, of_client, asks, words) in enumerate(session.said):
        y = _TOP + number * _ROW
        kind = "asks" if asks else "tells"
        begin, end = (_CLIENT, _SERVER) if of_client else (_SERVER, _CLIENT)
        tip = -7 if of_client else 7
        dashes = "" if asks else ' stroke-dasharray="4 3"'
        text = words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
        lines.append(f'<text class="quiet" x="12" y="{y + 4}">{at:.1f} s</text>')
        lines.append(f'<text x="{_CLIENT + 14}" y="{y}">{escape(text)}</text>')
        lines.append(f'<path class="{kind}" fill="none" d="M{begin} {y + 8}H{end}"{dashes}/>')
        lines.append(f'<path class="{kind}" fill="none" d="M{end + tip} {y + 4}L{end} {y + 8}L{end + tip} {y + 12}"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> None:
    """Serve the team, have a client take part, and draw."""
    with tempfile.TemporaryDirectory() as folder:
        team = Path(folder, "team.yaml")
        team.write_text(json.dumps(TEAM))
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        command = ["mcp", str(team), "--http", "--port", "0", "--state-dir", folder]
        with subprocess.Popen(
            [sys.executable, "-m", "subactors.runtime.cli", *command],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None  # noqa: S101 - it was asked for
            try:
                session = asyncio.run(_take_part(server.stdout.readline().strip()))
            finally:
                server.terminate()
    TARGET.write_text(draw(session), encoding="utf-8")


if __name__ == "__main__":
    main()
