"""`subactors mcp` and an independent client: that of npm, over both transports, and its tasks extension."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed_programs import NotInstalledError, from_npm
from mcp_face import Server, command, environ, http_server

pytestmark = [
    pytest.mark.timeout(180),  # the first run on a machine may have to install the client
    pytest.mark.slow,
]

PACKAGES = ("@modelcontextprotocol/client@2.4.0", "@modelcontextprotocol/ext-tasks@0.2.2")
PROGRAM = str(Path(__file__).parents[2] / "kit" / "mcp_client.mjs")
TOKEN = "the-token-of-this-test"  # noqa: S105 - it opens nothing else


def outcome(work: str, *target: str) -> dict[str, Any]:
    """Have the client do something with a server; return what came of it."""
    try:
        node, modules = from_npm("mcp-client-2.4.0", PACKAGES)
    except NotInstalledError as error:
        pytest.skip(str(error))
    line = [node, PROGRAM, str(modules), work, *target]
    done = subprocess.run(line, capture_output=True, text=True, env=environ(MCP_TOKEN=TOKEN), timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("npm")
    (folder / "token").touch(0o600)
    (folder / "token").write_text(TOKEN)
    with http_server(folder, "--token-file", str(folder / "token")) as server:
        yield server


def check_fan_out(found: dict[str, Any]) -> None:
    ids = found["ids"]
    assert found["listed"] == ids
    assert f"{ids[0]}  waits  running" in found["live"]
    assert f"waits ({ids[0]}): so far" in found["said"][0]
    assert f"{ids[0]} (waits) has ended" in found["stopped"]
    ends = {task["id"]: task["status"] for task in found["collected"]["tasks"]}
    assert ends == {ids[0]: "stopped", **dict.fromkeys(ids[1:], "completed")}
    assert found["asked"] == [f"worker ({ids[4]}) asks: Your name?"]
    assert {notice["task_id"]: notice["status"] for notice in found["notices"]} == ends


def test_it_fans_out_looks_stops_answers_and_collects_over_http(server: Server) -> None:
    check_fan_out(outcome("fanOut", server.url))


def test_it_fans_out_looks_stops_answers_and_collects_over_pipes(tmp_path: Path) -> None:
    check_fan_out(outcome("fanOut", *command(tmp_path)))


def test_its_tasks_extension_runs_asks_fails_and_cancels(server: Server) -> None:
    found = outcome("asTask", server.url)
    assert found["era"] == "modern"
    assert [found[name]["kind"] for name in ("answered", "failed", "cancelled")] == ["task"] * 3
    assert found["answered"]["status"] == "completed"
    assert "Ada" in found["answered"]["result"]["content"][0]["text"]
    assert found["asked"][0].endswith("asks: Your name?")
    assert found["failed"]["result"]["isError"] is True
    assert found["cancelled"]["status"] == "cancelled"
