"""The dashboard's server: who may ask it, what it tells, and what it does, over HTTP as its page asks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from dashboards import Served, becomes, dashboard, listed
from processes_and_waits import is_gone, wait_until
from run_folders import command, past_run, subactors, task_row
from subactors.runtime.dashboard.feed import Feed
from subactors.runtime.dashboard.server import application
from subactors.runtime.watching.resumed import Resumed
from watched import Watched, watched

PATIENCE = 30.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def host(root: Path) -> Iterator[Watched]:
    past_run(root, task_row(1, result=json.dumps("from before")), said={"agent_task_00000001": b"what it said"})
    with watched(root) as host:
        yield host


@pytest.fixture(scope="module")
def served(root: Path, host: Watched) -> Iterator[Served]:
    del host  # it is there first
    with dashboard(root) as served:
        yield served


# --- who may ask -----------------------------------------------------------------------------------------------------


def test_the_page_is_for_everybody_and_what_it_shows_for_who_has_the_token(served: Served) -> None:
    assert "<!doctype html>" in served.ask("/", authorization=None).body
    for wrong in (None, "Bearer x", served.token, f"Bearer {served.token}x", "Bearer é".encode()):
        answer = served.ask("/api/tasks", authorization=wrong)
        assert answer.status == 401
        assert "the address" in answer.body["error"]


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "[::2]"])
def test_a_request_that_was_sent_to_another_host_is_refused(served: Served, name: str) -> None:
    assert served.ask("/api/tasks", host=name).status == 400
    assert served.ask("/", host=name).status == 400


@pytest.mark.parametrize("name", ["localhost:80", "127.0.0.1:9999", "[::1]:8080"])
def test_a_browser_at_the_other_end_of_a_tunnel_is_answered(served: Served, name: str) -> None:
    assert served.ask("/api/tasks", host=name).status == 200
    assert served.ask("/api/tasks/x/stop", {}, host=name, origin=f"http://{name}").status == 404


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://localhost"])
def test_only_the_page_itself_changes_anything(served: Served, host: Watched, origin: str | None) -> None:
    task_id = host.start("hears", "go")
    assert served.ask(f"/api/tasks/{task_id}/stop", {}, origin=origin).status == 403
    assert served.ask(f"/api/tasks/{task_id}/stop", {}).status == 202
    becomes(served, task_id, status="stopped")


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/tasks", "/api/nothing", "/page/../server.py"])
def test_every_answer_has_the_headers_that_keep_a_browser_safe(served: Served, path: str) -> None:
    for answer in (served.ask(path), served.ask(path, host="evil.example"), served.ask(path, authorization=None)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers


def test_an_answer_after_a_fault_has_these_headers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(tmp_path)
    monkeypatch.setattr(feed, "everything", lambda **_: 1 / 0)
    app = application(feed, Resumed(tmp_path), "token")

    async def asked() -> httpx2.Response:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/api/tasks", headers={"authorization": "Bearer token"})

    try:
        answer = asyncio.run(asked())
    finally:
        feed.close()
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "fault" in answer.json()["error"]


def test_folders_whose_names_are_no_text_are_shown_with_marks(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"\xff")
    run = past_run(root, task_row(1))
    with dashboard(root) as served:
        (seen,) = served.ask("/api/tasks?past=1").body["runs"]
        assert seen["path"] == f"{tmp_path}/\N{REPLACEMENT CHARACTER}/{run.name}"
        assert served.ask("/api/tasks/agent_task_00000001").body["log"].startswith(seen["path"])
        assert served.ask("/api/tasks/agent_task_00000002").status == 404


def test_garbage_makes_it_say_nothing(root: Path) -> None:
    with subprocess.Popen(
        command("dashboard", "--state-dir", root, "--quiet"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        served = Served(program.stdout.readline().strip(), program)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", int(served.origin.rpartition(":")[2]))) as connection:
                connection.sendall(b"\x16\x03 nonsense\r\n\r\n")
                assert b"400" in connection.recv(1000)
        program.terminate()
        assert program.communicate(timeout=PATIENCE) == ("", "")


def test_it_listens_on_loopback_alone(served: Served) -> None:
    port = int(served.origin.rpartition(":")[2])
    with socket.socket(socket.AF_INET6) as other:
        assert other.connect_ex(("::1", port)) != 0


def test_read_only_shows_all_and_changes_nothing(root: Path, host: Watched) -> None:
    task_id = host.start("hears", "go")
    with dashboard(root, "--read-only") as served:
        becomes(served, task_id, status="running")
        assert served.ask("/api/tasks").body["read_only"] is True
        for verb in ("stop", "steer", "answer", "resume"):
            assert served.ask(f"/api/tasks/{task_id}/{verb}", {"text": "x"}).status == 404
    assert subactors("stop", task_id, root=root).returncode == 0


# --- what it tells ---------------------------------------------------------------------------------------------------


def test_a_stream_tells_what_has_changed_and_goes_on_behind_its_cursor(served: Served, host: Watched) -> None:
    cursor = served.ask("/api/tasks").body["cursor"]
    with served.events(f"/api/events?after={cursor}") as events:
        task_id = host.start("hears", "go")
        seen: dict[str, object] = {}
        while seen.get("status") != "running":
            name, data, cursor = next(events)
            assert name == "tasks"
            seen |= next((change for change in data["changed"] if change["id"] == task_id), {})
    served.ask(f"/api/tasks/{task_id}/steer", {"text": "hello"})
    becomes(served, task_id, status="completed")
    with served.events(f"/api/events?after={cursor}") as events:
        name, data, _ = next(events)
    assert name == "tasks"
    (change,) = [change for change in data["changed"] if change["id"] == task_id]
    assert change["status"] == "completed"
    assert "agent" not in change


@pytest.mark.parametrize("cursor", ["", "900", "deadbeef-3.deadbeef-4", "%00", "a" * 5000])
def test_a_cursor_of_another_server_is_told_to_begin_anew(served: Served, cursor: str) -> None:
    with served.events(f"/api/events?after={cursor}") as events:
        assert next(events)[0] == "reset"


def test_one_stream_carries_the_output_of_the_task_that_is_open(served: Served, host: Watched, tmp_path: Path) -> None:
    more = tmp_path / "more"
    task_id = host.start("speaks", "first ü", {"file": str(more)})
    becomes(served, task_id, words="first ü")
    cursor = served.ask("/api/tasks").body["cursor"]
    with served.events(f"/api/events?after={cursor}&task={task_id}&from=0") as events:
        assert _said(events) == {"id": task_id, "text": "first ü\n", "missed": 0, "end": 9}
        more.write_text("second\n")
        assert _said(events)["text"] == "second\n"
    served.ask(f"/api/tasks/{task_id}/stop", {})
    with served.events(f"/api/tasks/{task_id}/output?from=6") as events:
        told = list(events)
    assert [(name, data.get("text")) for name, data, _ in told] == [("output", "ü\nsecond\n"), ("ended", None)]


def _said(events: Iterator[tuple[str, dict[str, object], str]]) -> dict[str, object]:
    return next(data for name, data, _ in events if name == "output")


def test_runs_of_before_come_when_they_are_asked_for_with_all_that_is_known_of_their_tasks(served: Served) -> None:
    first = "agent_task_00000001"
    assert listed(served, first) is None
    cursor = served.ask("/api/tasks").body["cursor"]
    with served.events(f"/api/events?after={cursor}&task={first}&from=0") as events:
        assert _said(events)["text"] == "what it said"
    told = served.ask("/api/tasks?past=1").body
    runs, tasks = [run["id"] for run in told["runs"]], told["tasks"]
    assert [runs, tasks] == [sorted(runs), sorted(tasks, key=lambda task: runs.index(task["run"]))], "the newest last"
    assert [task["status"] for task in tasks if task["id"] == first] == ["completed"]
    about = served.ask(f"/api/tasks/{first}").body
    assert (about["result"], about["resumable"], about["host_pid"]) == ("from before", False, None)
    for part in (first, "00000001"):
        assert served.ask(f"/api/tasks/{part}").body["id"] == first, "a part of an id will do, as for commands"
        with served.events(f"/api/tasks/{part}/output") as events:
            assert next(events)[1]["text"] == "what it said"
    for path in (f"{first}/output?from=abc", f"{first}/messages?after=zz"):
        answer = served.ask(f"/api/tasks/{path}")
        assert (answer.status, answer.body["error"].endswith("is not a whole number.")) == (400, True)


def test_a_conversation_is_read_on_behind_what_is_known(served: Served, host: Watched) -> None:
    task_id = host.start("calls", json.dumps([["think", {"thought": "deep"}]]))
    becomes(served, task_id, status="completed")
    messages = served.ask(f"/api/tasks/{task_id}/messages").body["messages"]
    assert messages[-1]["role"] == "assistant"
    assert [call["name"] for message in messages for call in message["calls"]] == ["think"]
    known = messages[-2]["number"]
    assert served.ask(f"/api/tasks/{task_id}/messages?after={known}").body["messages"] == messages[-1:]


# --- what it does ----------------------------------------------------------------------------------------------------


def test_a_question_is_answered_once_and_a_wrong_choice_is_said(served: Served, host: Watched) -> None:
    task_id = host.start("asks", "left or right?", {"choices": ["left", "right"]})
    wait_until(lambda: (task := listed(served, task_id)) and task["questions"], "it asks", PATIENCE)
    (question,) = served.ask(f"/api/tasks/{task_id}").body["questions"]
    wrong = served.ask(f"/api/tasks/{task_id}/answer", {"question": question["id"], "text": "up"})
    assert (wrong.status, "left" in wrong.body["error"]) == (400, True)
    assert served.ask(f"/api/tasks/{task_id}/answer", {"question": question["id"], "text": "left"}).status == 202
    becomes(served, task_id, status="completed")
    assert served.ask(f"/api/tasks/{task_id}/answer", {"question": question["id"], "text": "left"}).status == 409


def test_what_has_ended_is_neither_stopped_nor_told_anything(served: Served, host: Watched) -> None:
    task_id = host.start("fails", "on purpose")
    becomes(served, task_id, status="failed")
    assert served.ask(f"/api/tasks/{task_id}/stop", {}).status == 409
    assert served.ask(f"/api/tasks/{task_id}/steer", {"text": "hello"}).status == 409
    assert served.ask(f"/api/tasks/{task_id}/steer", {"text": ""}).status == 400


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"text": 1}', b"\xff", rb'{"text": "\ud83d"}', b"x" * 1_000_001])
def test_what_cannot_be_understood_is_refused_in_words(served: Served, host: Watched, body: bytes) -> None:
    task_id = host.start("fails", "on purpose")
    headers = {"authorization": f"Bearer {served.token}", "origin": served.origin}
    url = f"{served.origin}/api/tasks/{task_id}/steer"
    answer = httpx2.post(url, content=body, headers=headers, trust_env=False)
    assert answer.status_code in {400, 413}
    assert answer.json()["error"].endswith(".")
    assert (b"ud83d" in body) == ("half of a character" in answer.text)


@pytest.mark.parametrize("task_id", ["x", "agent_task_ffffffff", "..%2F..%2Fetc%2Fpasswd", "%00", "a" * 3000])
def test_a_task_that_nobody_knows_is_not_found(served: Served, task_id: str) -> None:
    assert served.ask(f"/api/tasks/{task_id}").status == 404


def test_a_host_that_is_gone_is_said_so(root: Path) -> None:
    with watched(root / "other") as host, dashboard(root / "other") as served:
        task_id = host.start("hears", "go")
        becomes(served, task_id, status="running")
        host.host.kill()
        becomes(served, task_id, status="failed", reason="The host died.")
        assert served.ask(f"/api/tasks/{task_id}/steer", {"text": "hello"}).status == 410


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [False, True], ids=["ended", "killed"])
def test_a_task_of_a_host_that_has_died_is_continued_by_a_program_that_ends_with_the_dashboard(
    tmp_path: Path, is_killed: bool
) -> None:
    team = tmp_path / "team.yaml"
    model = "{model: 'python/asking_entrypoints:does_what_it_is_told', toolsets: [{type: shell}]}"
    team.write_text(f"agents: {{root: {model}}}")
    calls = json.dumps([["shell", {"cmd": "sleep 600"}]] * 2)  # the second is left to who continues it
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        subprocess.Popen(
            command("run", team, calls, "--quiet", "--state-dir", tmp_path), env=environ, stdin=subprocess.DEVNULL
        ) as program,
        dashboard(tmp_path, env=environ) as served,
    ):
        wait_until(lambda: any(task["tools"] for task in served.ask("/api/tasks").body["tasks"]), "it sleeps", PATIENCE)
        (task,) = served.ask("/api/tasks").body["tasks"]
        program.kill()
        program.wait()
        becomes(served, task["id"], status="failed")
        assert served.ask(f"/api/tasks/{task['id']}").body["resumable"] is True
        answer = served.ask(f"/api/tasks/{task['id']}/resume", {"text": calls})
        assert answer.status == 202
        resumed = answer.body["run"]
        wait_until(lambda: (listed(served, resumed) or {}).get("tools"), "it sleeps again", PATIENCE)
        about = served.ask(f"/api/tasks/{resumed}").body
        assert about["continues"] == task["id"]
        assert served.ask(f"/api/tasks/{task['id']}").body["resumable"] is False  # nobody else may, as long as it runs
        served.program.send_signal(signal.SIGKILL if is_killed else signal.SIGTERM)
        served.program.wait(PATIENCE)
        wait_until(lambda: is_gone(about["host_pid"]), "its program is gone", PATIENCE)


def test_a_port_that_is_taken_is_said_with_what_to_do(served: Served, root: Path) -> None:
    port = served.origin.rpartition(":")[2]
    done = subactors("dashboard", "--port", port, root=root)
    assert done.returncode == 1
    assert f"The port {port} of 127.0.0.1 cannot be had" in done.stderr
    assert "--port" in done.stderr
