"""The picture of a trace: a fan-out of three levels, of which one task crashes and one is killed, as its spans tell.

    python tools/draw_trace.py                        # docs/pictures/trace.svg

The run is a real one, and so are its spans: `subactors run --otel-file` writes them. Agents are functions below, so
that no model is asked.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

__all__ = ["be_killed", "crash", "die", "lead", "read", "survey"]

TARGET: Final = Path(__file__).parents[1] / "docs" / "pictures" / "trace.svg"

TEAM: Final = {
    "agents": {
        "lead": {"model": "python/draw_trace:lead", "sub_agents": ["surveyor"]},
        "surveyor": {"model": "python/draw_trace:survey", "sub_agents": ["reader", "parser", "indexer"]},
        "reader": {"model": "python/draw_trace:read", "toolsets": [{"type": "shell"}]},
        "parser": {
            "model": "python/draw_trace:crash",
            "toolsets": [{"type": "python", "functions": ["draw_trace:die"]}],
        },
        "indexer": {"model": "python/draw_trace:be_killed", "toolsets": [{"type": "shell"}]},
    }
}
for _agent in ("lead", "surveyor"):
    TEAM["agents"][_agent]["toolsets"] = [{"type": "background_agents"}]

_WIDTH: Final = 1000
_LEFT: Final = 300
_RIGHT: Final = 780
"""Where the time begins and ends; names are left of it, and what went wrong is right of it."""

_ROW: Final = 21
_TOP: Final = 44

_STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .quiet { fill: #59636e } .ground { fill: #ffffff }
.grid { stroke: #d8dee4 } .invoke_agent { fill: #b6d9fc } .chat { fill: #0969da } .execute_tool { fill: #1a7f37 }
.wrong { stroke: #cf222e; stroke-width: 2 } .why { fill: #cf222e } .link { stroke: #8250df; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .quiet { fill: #9198a1 } .ground { fill: #0d1117 } .grid { stroke: #30363d }
.invoke_agent { fill: #1c3a5e } .chat { fill: #4493f8 } .execute_tool { fill: #3fb950 }
.wrong { stroke: #f85149 } .why { fill: #f85149 } .link { stroke: #a371f7 }
}
"""


# --- the team ---------------------------------------------------------------------------------------------------------


def _calls(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    tools = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for number, (name, given) in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": tools}


def _turn(messages: list[dict[str, Any]]) -> int:
    return sum(message["role"] == "assistant" for message in messages)


def _starts(messages: list[dict[str, Any]], *agents: str) -> Any:
    """Start tasks, wait for them, and answer."""
    time.sleep(0.15)
    started = [("run_background_agent", {"agent": agent, "task": "Go."}) for agent in agents]
    return [_calls(*started), _calls(("wait_background_agents", {})), "Two of three have failed."][
        min(_turn(messages), 2)
    ]


def lead(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Start the surveyor."""
    return _starts(messages, "surveyor")


def survey(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Start one of each."""
    return _starts(messages, "reader", "parser", "indexer")


def read(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Run a program."""
    time.sleep(0.2)
    return "Read." if _turn(messages) else _calls(("shell", {"cmd": "sleep 0.4"}))


def crash(_messages: list[dict[str, Any]], _tools: object) -> Any:
    """Call a tool that the process does not survive."""
    time.sleep(0.2)
    return _calls(("die", {}))


def die() -> str:
    """Die of SIGSEGV, as a fault in C code does."""
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGSEGV)
    return "never"


def be_killed(_messages: list[dict[str, Any]], _tools: object) -> Any:
    """Run a program that kills the task, as the system does where memory is short."""
    time.sleep(0.25)
    return _calls(("shell", {"cmd": f"sleep 0.5; kill -9 {os.getpid()}"}))


# --- the picture ------------------------------------------------------------------------------------------------------


def spans_of(file: Path) -> list[dict[str, Any]]:
    """Return the spans of a file of OTLP in JSON, the first to begin first."""
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    resources = [resource for line in lines for resource in line["resourceSpans"]]
    spans = [span for resource in resources for scope in resource["scopeSpans"] for span in scope["spans"]]
    return sorted(spans, key=lambda span: int(span["startTimeUnixNano"]))


def tree(spans: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Return the spans with their depths: those of a trace as a tree, and a task below the call that has started it."""

    def walk(span: dict[str, Any], depth: int) -> Iterator[tuple[int, dict[str, Any]]]:
        yield depth, span
        for other in spans:
            starters = [link["spanId"] for link in other.get("links", ())] if not other.get("parentSpanId") else []
            if other.get("parentSpanId") == span["spanId"] or span["spanId"] in starters:
                yield from walk(other, depth + 1)

    first = next(span for span in spans if not span.get("parentSpanId"))
    return list(walk(first, 0))


def draw(spans: list[dict[str, Any]]) -> str:
    """Return the picture."""
    rows = tree(spans)
    first = min(int(span["startTimeUnixNano"]) for span in spans)
    seconds = (max(int(span["endTimeUnixNano"]) for span in spans) - first) / 1e9
    height = _TOP + len(rows) * _ROW + 12
    about = f"{len({span['traceId'] for span in spans})} traces, {len(spans)} spans in {seconds:.1f} s"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="title">',
        f'<style>{_STYLE}</style><title id="title">{about}</title>',
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
    ]
    for number, what in enumerate(("invoke_agent", "chat", "execute_tool")):
        x = 12 + 130 * number
        lines.append(f'<rect class="{what}" x="{x}" y="12" width="10" height="10" rx="2"/>')
        lines.append(f'<text class="quiet" x="{x + 15}" y="21">{what}</text>')
    lines.append('<path class="link" d="M402 17h14"/><text class="quiet" x="422" y="21">link to another trace</text>')
    lines.append(f'<text class="quiet" x="{_RIGHT}" y="21" text-anchor="end">{about}</text>')

    def at(nanoseconds: str) -> float:
        return _LEFT + (int(nanoseconds) - first) / 1e9 / seconds * (_RIGHT - _LEFT)

    places = {span["spanId"]: number for number, (_, span) in enumerate(rows)}
    for number, (depth, span) in enumerate(rows):
        y = _TOP + number * _ROW
        begin, end = at(span["startTimeUnixNano"]), at(span["endTimeUnixNano"])
        kind, _, _ = span["name"].partition(" ")
        attributes = {each["key"]: next(iter(each["value"].values())) for each in span.get("attributes", ())}
        wrong = attributes.get("error.type", "")
        weight = ' font-weight="600"' if kind == "invoke_agent" else ""
        name = span["name"].replace("python/draw_trace:", "")
        lines.append(f'<path class="grid" d="M12 {y + _ROW - 2.5}H{_WIDTH - 12}"/>')
        lines.append(f'<text x="{12 + 14 * depth}" y="{y + 12}"{weight}>{escape(name)}</text>')
        lines.append(
            f'<rect class="{kind}{" wrong" if wrong else ""}" x="{begin:.1f}" y="{y + 2}" '
            f'width="{max(2.0, end - begin):.1f}" height="12" rx="2"><title>{escape(name)}</title></rect>'
        )
        if wrong:
            lines.append(f'<text class="why" x="{_RIGHT + 12}" y="{y + 12}">✗ error.type {escape(str(wrong))}</text>')
        if not span.get("parentSpanId"):
            for link in span.get("links", ()):
                above = places.get(link["spanId"])
                if above is not None and above < number:
                    lines.append(f'<path class="link" d="M{begin:.1f} {_TOP + above * _ROW + 14}V{y + 2}"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> None:
    """Run the team, and draw what its spans tell."""
    with tempfile.TemporaryDirectory() as folder:
        team, file = Path(folder, "team.yaml"), Path(folder, "out.jsonl")
        team.write_text(json.dumps(TEAM))
        environ = {**os.environ, "SUBACTORS_STATE_DIR": folder, "PYTHONPATH": str(Path(__file__).parent)}
        command = ["run", str(team), "Go.", "--agent", "lead", "--otel-file", str(file)]
        subprocess.run(
            [sys.executable, "-m", "subactors.runtime.cli", *command],
            env=environ,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        TARGET.write_text(draw(spans_of(file)), encoding="utf-8")


if __name__ == "__main__":
    main()
