"""The dashboard as a command: how it ends, whom it opens a browser for, and how it goes beside a run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from dashboards import Served, becomes, dashboard
from first_forms import first_always
from processes_and_waits import wait_until
from run_folders import command, past_run, task_row

PATIENCE = 30.0


@first_always("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_streams_open_without_a_word_and_as_shells_expect(
    tmp_path: Path, number: signal.Signals
) -> None:
    past_run(tmp_path, task_row(1, status="running", runtime=None))
    with dashboard(tmp_path, stderr=subprocess.PIPE) as served, contextlib.ExitStack() as stack:
        cursor = served.ask("/api/tasks").body["cursor"]
        for path in (f"/api/events?after={cursor}", f"/api/events?after={cursor}&task=agent_task_00000001") * 2:
            stack.enter_context(served.events(path))
        served.program.send_signal(number)
        assert served.program.communicate(timeout=PATIENCE)[1] == ""
        assert served.program.returncode == 128 + number


@pytest.mark.parametrize("is_open", [True, False])
def test_it_may_end_with_its_input_which_is_no_failure(tmp_path: Path, is_open: bool) -> None:
    with dashboard(
        tmp_path, "--ends-with-input", stdin=subprocess.PIPE if is_open else subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as served:
        assert served.program.communicate(timeout=PATIENCE)[1] == ""
        assert served.program.returncode == 0


def test_it_ends_with_an_input_that_does_not_wait(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with dashboard(tmp_path, "--ends-with-input", stdin=reading, stderr=subprocess.PIPE) as served:
        os.close(reading)
        assert served.ask("/api/tasks").status == 200
        os.close(writing)
        assert served.program.communicate(timeout=PATIENCE)[1] == ""
        assert served.program.returncode == 0


def test_a_browser_is_given_a_file_that_only_the_user_can_read_and_that_leads_to_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, seen = tmp_path / "browser", tmp_path / "seen"
    program.write_text(
        f'#!/bin/sh\nstat -c %a "${{1#file://}}" > {seen}\ncat "${{1#file://}}" >> {seen}\necho $1 >> {seen}\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(program))
    with dashboard(tmp_path, "--open") as served:
        wait_until(lambda: seen.exists() and "file://" in seen.read_text(), "it is opened", PATIENCE)
        assert served.ask("/api/tasks").status == 200
    mode, *lines, address = seen.read_text().splitlines()
    assert (mode, served.token in address, f"{served.origin}/#token={served.token}" in "".join(lines)) == (
        "600",
        False,
        True,
    )
    assert not Path(address.removeprefix("file://")).exists()


def test_a_browser_that_comes_back_late_is_answered_and_none_at_all_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, seen = tmp_path / "browser", tmp_path / "seen"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, re, sys, urllib.request\n"
        "door = pathlib.Path(sys.argv[1].removeprefix('file://')).read_text()\n"
        "page = urllib.request.urlopen(re.search('url=([^#\"]*)', door)[1]).read()\n"
        f"pathlib.Path({str(seen)!r}).write_bytes(page)\n"
    )
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(program))
    with dashboard(tmp_path, "--open"):
        wait_until(lambda: seen.exists() and "<!doctype html>" in seen.read_text(), "it has the page", PATIENCE)

    monkeypatch.setenv("BROWSER", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with subprocess.Popen(
        command("dashboard", "--state-dir", tmp_path, "--quiet", "--open"), stderr=subprocess.PIPE, text=True
    ) as alone:
        assert alone.stderr is not None
        assert alone.stderr.readline().strip() == "No browser was found here."
        alone.terminate()


@contextlib.contextmanager
def run_beside(folder: Path, team: str, prompt: str) -> Iterator[Served]:
    """Run a team without a terminal, and with a dashboard."""
    file = folder / "team.yaml"
    file.write_text(team)
    with subprocess.Popen(
        command("run", file, prompt, "--dashboard", "--state-dir", folder),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        address = next(line for line in program.stderr if line.startswith("Dashboard: ")).split()[1]
        yield Served(address, program)


def test_a_run_has_a_dashboard_of_its_own_for_as_long_as_it_lasts(tmp_path: Path) -> None:
    with run_beside(tmp_path, "agents: {root: {entrypoint: 'watched:hears'}}", "go") as served:
        wait_until(lambda: len(served.ask("/api/tasks").body["tasks"]) == 1, "its root is seen alone", PATIENCE)
        (task,) = served.ask("/api/tasks").body["tasks"]
        becomes(served, task["id"], status="running")
        assert served.ask(f"/api/tasks/{task['id']}/steer", {"text": "bye"}).status == 202
        assert served.program.communicate(timeout=PATIENCE)[0].strip() == "heard: bye"
        assert served.program.returncode == 0
    with pytest.raises(httpx2.ConnectError):
        served.ask("/")


def test_a_run_with_a_dashboard_and_no_terminal_has_its_calls_approved_there(tmp_path: Path) -> None:
    model = "{model: 'python/asking_entrypoints:does_what_it_is_told', toolsets: [{type: think}]}"
    team = f"agents: {{root: {model}}}\npermissions: {{ask: [think]}}"
    with run_beside(tmp_path, team, json.dumps([["think", {"thought": "well"}]])) as served:
        asked: list[Any] = []

        def is_asked() -> bool:
            asked[:] = [each for task in served.ask("/api/tasks").body["tasks"] for each in task["questions"]]
            return bool(asked)

        wait_until(is_asked, "its call waits for an approval", PATIENCE)
        said = {"question": asked[0]["id"], "text": "deny: not here"}
        answer = served.ask(f"/api/tasks/{asked[0]['task_id']}/answer", said)
        told = served.program.communicate(timeout=PATIENCE)[0]

    assert answer.status == 202
    assert "not here" in told


def test_a_dashboard_of_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    missing = tmp_path / "mistyped"
    with dashboard(missing, "--ends-with-input", stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as served:
        said = served.program.communicate(timeout=PATIENCE)[1]

    assert f"There is no folder {missing}: no run is kept there." in said
