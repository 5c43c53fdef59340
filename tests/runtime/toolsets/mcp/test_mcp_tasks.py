"""MCP servers in the processes of tasks: published ones, and what becomes of a server when its task ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_servers_installed import NotInstalledError, npm_server, pypi_server
from processes_and_waits import descendants_of, descriptors, is_gone, wait_until
from subactors.runtime import Runtime, TaskView
from teams import PATIENCE, model, plan, run_and_wait

pytestmark = pytest.mark.timeout(180)  # the first run on a machine may have to install servers

SCRIPT = str(Path(__file__).parents[3] / "kit" / "mcp_server_stdio.py")


def agent(*toolsets: dict[str, Any]) -> dict[str, Any]:
    return model("follows_a_plan", toolsets=[{"type": "mcp", **toolset} for toolset in toolsets])


def answers(view: TaskView) -> list[str]:
    assert view.status == "completed", view.reason
    texts: list[str] = json.loads(view.result)
    return texts


def servers(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The toolsets of the tests, and why some of them are missing."""
    script = {"command": sys.executable, "args": [SCRIPT]}
    found: dict[str, dict[str, Any]] = {
        "script": script,
        "secretive": {**script, "env": {"API_KEY": "${env.SERVICE_TOKEN || 'none'}"}},
        "broken": {"command": "sh", "args": ["-c", "echo the database is away >&2; exit 4"]},
    }
    missing: dict[str, str] = {}
    published: dict[str, Callable[[], dict[str, Any]]] = {
        "time": lambda: {"command": pypi_server("time")},
        "git": lambda: {"command": pypi_server("git"), "name": "vc"},
        "everything": lambda: {**npm("everything"), "env": {"MARK": "of the test"}},
        "web": lambda: {"remote": {"url": "${env.WEB_URL || 'http://127.0.0.1:9/mcp'}"}},
        "filesystem": lambda: {**npm("filesystem", str(folder)), "tools": ["write_file", "read_text_file"]},
    }
    for name, server in published.items():
        try:
            found[name] = server()
        except NotInstalledError as error:
            missing[name] = str(error)
    return found, missing


def npm(name: str, *arguments: str) -> dict[str, Any]:
    command, program = npm_server(name)
    return {"command": command, "args": [program, *arguments]}


class Team:
    """A runtime that all tests share: each new one would load everything anew."""

    def __init__(self, state: Path, folder: Path) -> None:
        found, self.missing = servers(folder)
        self.state = state
        self.folder = folder
        team = {"agents": {name: agent(server) for name, server in found.items()}}
        self.runtime = Runtime.from_mapping(team, state_dir=state, stop_grace=2.0, standby=0)

    def start(self, name: str, *turns: Any) -> str:
        """Start a task and return its id when it is in a call that takes long."""
        if name in self.missing:
            pytest.skip(self.missing[name])
        task_id = self.runtime.run(name, plan(*turns))
        wait_until(lambda: self.runtime.view(task_id).doing == f"in {LONG[0]}", "the call", limit=PATIENCE)
        return task_id

    def ask(self, name: str, *calls: tuple[str, dict[str, Any]]) -> list[str]:
        """Run a task that makes the calls one by one, and return their answers."""
        if name in self.missing:
            pytest.skip(self.missing[name])
        return answers(run_and_wait(self.runtime, name, plan(*([call] for call in calls), "answers")))


@contextlib.contextmanager
def everything_on_the_web(port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the `everything` server over streamable HTTP; yields it and its address."""
    try:
        command, program = npm_server("everything")
    except NotInstalledError as error:
        pytest.skip(str(error))
    with socket.create_server(("127.0.0.1", port)) as free:
        port = free.getsockname()[1]
    environ = {**os.environ, "PORT": str(port)}
    with subprocess.Popen(
        [command, program, "streamableHttp"], env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert any("listening" in line for line in process.stderr)
            yield process, f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    team = Team(tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("folder"))
    with team.runtime as runtime:
        run_and_wait(runtime, "script", plan("answers"))  # all its threads are there before the first test counts
        yield team


@pytest.fixture
def runtime(team: Team) -> Runtime:
    return team.runtime


# --- published servers ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_time_server_of_pypi(team: Team) -> None:
    tokyo = {"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"}
    now, converted, wrong = team.ask(
        "time",
        ("get_current_time", {"timezone": "UTC"}),
        ("convert_time", tokyo),
        ("get_current_time", {"timezone": "Middle/Earth"}),
    )
    assert json.loads(now)["timezone"] == "UTC"
    assert json.loads(converted)["target"]["datetime"][11:16] == "03:00"
    assert "Invalid timezone" in wrong


def test_the_git_server_of_pypi(team: Team, tmp_path: Path) -> None:
    git = {"repo_path": str(tmp_path)}
    _init(tmp_path)
    status, added, committed, log = team.ask(
        "git",
        ("vc_git_status", git),
        ("vc_git_add", {**git, "files": ["a.txt"]}),
        ("vc_git_commit", {**git, "message": "The first"}),
        ("vc_git_log", git),
    )
    assert "a.txt" in status
    assert "staged" in added
    assert "committed" in committed.lower()
    assert "The first" in log


def _init(folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    for command in (["init", "-q"], ["config", "user.name", "Test"], ["config", "user.email", "test@localhost"]):
        subprocess.run(["/usr/bin/env", "git", "-C", str(folder), *command], check=True)


def test_the_everything_server_of_npm_with_images_resources_and_its_environment(team: Team) -> None:
    echo, total, image, resource, environment = team.ask(
        "everything",
        ("echo", {"message": "hello"}),
        ("get-sum", {"a": 2, "b": 3}),
        ("get-tiny-image", {}),
        ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
        ("get-env", {}),
    )
    assert echo == "Echo: hello"
    assert "5" in total
    assert "[An image (image/png, " in image
    assert "[The resource " in resource
    assert "of the test" in environment


def test_the_filesystem_server_of_npm_with_two_of_its_tools(team: Team) -> None:
    path = str(team.folder / "notes.txt")
    written, read, refused, unknown = team.ask(
        "filesystem",
        ("write_file", {"path": path, "content": "noted"}),
        ("read_text_file", {"path": path}),
        ("read_text_file", {"path": "/etc/hostname"}),
        ("list_directory", {"path": str(team.folder)}),
    )
    assert "Successfully wrote" in written
    assert read == "noted"
    assert "Access denied" in refused
    assert unknown == "There is no tool 'list_directory'. Available tools: read_text_file, write_file."


# --- the life of a server -------------------------------------------------------------------------------------------


def servers_of(runtime: Runtime, task_id: str) -> list[int]:
    pid = runtime.view(task_id).pid
    return [process.pid for process in descendants_of(pid)] if pid is not None else []


def hanging(runtime: Runtime) -> tuple[str, list[int]]:
    """Start a task that hangs in a call of its server; returns it, and the server's processes."""
    task_id = runtime.run("script", plan([("orphan", {})], [("hang", {})]))
    wait_until(lambda: runtime.view(task_id).doing == "in hang", "the call", limit=PATIENCE)
    servers = servers_of(runtime, task_id)
    assert len(servers) == 2
    return task_id, servers


def test_each_task_has_a_server_of_its_own(runtime: Runtime) -> None:
    tasks = [runtime.run("script", plan([("pid", {})], "answers")) for _ in range(3)]
    pids = {answers(view)[0] for view in runtime.wait(tasks, timeout=PATIENCE)}
    assert len(pids) == 3
    assert all(is_gone(int(pid)) for pid in pids)


def test_a_stopped_task_takes_its_server_and_all_that_it_started_with_it(runtime: Runtime) -> None:
    task_id, servers = hanging(runtime)
    view = runtime.stop(task_id)[0]
    assert view.status == "stopped"
    assert "killed" not in view.reason
    assert all(map(is_gone, servers))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_task_that_is_killed_takes_its_server_with_it(runtime: Runtime, number: signal.Signals) -> None:
    task_id, servers = hanging(runtime)
    pid = runtime.view(task_id).pid
    assert pid is not None
    os.kill(pid, number)
    (view,) = runtime.wait([task_id], timeout=PATIENCE)
    assert view.status == "failed"
    assert number.name in view.reason
    assert all(map(is_gone, servers))


def test_a_server_that_is_killed_in_a_call_is_told_to_the_model_and_the_task_goes_on(runtime: Runtime) -> None:
    task_id = runtime.run("script", plan([("hang", {})], [("count", {})], "answers"))
    wait_until(lambda: runtime.view(task_id).doing == "in hang", "the call", limit=PATIENCE)
    (server,) = servers_of(runtime, task_id)
    os.kill(server, signal.SIGKILL)
    (view,) = runtime.wait([task_id], timeout=PATIENCE)
    lost, again = answers(view)
    assert "was lost during the call. It was ended by SIGKILL." in lost
    assert again.endswith("1")


LONG = ("trigger-long-running-operation", {"duration": 600, "steps": 600})


def test_a_published_server_that_is_killed_in_a_call_is_told_to_the_model(team: Team) -> None:
    task_id = team.start("everything", [LONG], [("echo", {"message": "again"})], "answers")
    (server,) = servers_of(team.runtime, task_id)
    os.kill(server, signal.SIGKILL)
    (view,) = team.runtime.wait([task_id], timeout=PATIENCE)
    lost, again = answers(view)
    assert "was lost during the call. It was ended by SIGKILL." in lost
    assert again.endswith("Echo: again")


def test_a_published_server_over_http_that_is_killed_in_a_call_is_told_to_the_model(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    with everything_on_the_web() as (process, url):
        monkeypatch.setenv("WEB_URL", url)
        task_id = team.start(
            "web", [("get-sum", {"a": 2, "b": 3})], [LONG], [("echo", {"message": "again"})], "answers"
        )
        process.kill()
        (view,) = team.runtime.wait([task_id], timeout=PATIENCE)
    total, lost, again = answers(view)
    assert "5" in total
    assert "was lost during the call" in lost
    assert "The MCP server ${env.WEB_URL" in again
    assert "cannot be used: All connection attempts failed" in again


def test_a_server_over_http_that_was_started_again_is_asked_in_a_new_session(
    team: Team, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    echo = ("echo", {"message": "again"})
    with everything_on_the_web() as (process, url):
        monkeypatch.setenv("WEB_URL", url)
        task_id = team.start("web", [LONG], {"wait_for": str(tmp_path / "go")}, [echo], [echo], "answers")
        process.kill()
    with everything_on_the_web(int(url.split(":")[2].partition("/")[0])):
        (tmp_path / "go").touch()
        (view,) = team.runtime.wait([task_id], timeout=PATIENCE)
    _, again, _ = answers(view)
    assert again.endswith("Echo: again")


def test_a_server_that_does_not_start_fails_the_task_with_its_last_words(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "broken")
    assert view.status == "failed"
    assert "did not start. It ended with exit status 4." in view.reason
    assert "the database is away" in view.reason


def test_a_secret_is_in_no_file_of_the_run_and_in_no_arguments(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "s3cret-value")
    turns = plan([("environment", {"name": "API_KEY"})], [("fail", {})], [("hang", {})])
    task_id = team.runtime.run("secretive", turns)
    wait_until(lambda: team.runtime.view(task_id).doing == "in hang", "the call", limit=PATIENCE)
    (server,) = servers_of(team.runtime, task_id)
    assert b"API_KEY=s3cret-value" in Path(f"/proc/{server}/environ").read_bytes()
    assert b"s3cret" not in Path(f"/proc/{server}/cmdline").read_bytes()
    team.runtime.stop(task_id)[0]
    files = [path for path in team.state.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"s3cret" in path.read_bytes()] == []


def test_the_zygote_has_one_thread_and_no_child_when_a_team_has_a_server(runtime: Runtime) -> None:
    run_and_wait(runtime, "script", plan([("count", {})], "answers"))
    (zygote,) = [process.pid for process in descendants_of(os.getpid()) if "zyg" in process.name]
    assert len(list(Path(f"/proc/{zygote}/task").iterdir())) == 1
    assert descendants_of(zygote) == []
    assert not [what for what in descriptors(zygote).values() if "eventpoll" in what]


def test_an_orchestrator_of_the_host_has_its_server_until_its_toolset_is_closed(runtime: Runtime) -> None:
    with runtime.toolset("script") as toolset:
        assert "echo" in [schema["function"]["name"] for schema in toolset.schemas]
        pid = int(toolset.call("pid").text)
        assert not is_gone(pid)
    assert is_gone(pid)
