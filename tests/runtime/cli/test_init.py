"""`subactors init`: what it writes runs as it is, and nothing is written over."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import socket
import subprocess
import termios
import threading
from pathlib import Path

import click
import msgspec
import pytest
from command_line import COMMAND, subactors
from model_server import Calls, ModelServer, Request, Text
from page_server import Page, Pages
from subactors.runtime.cli.model_servers import answering, models_at, with_keys
from subactors.runtime.cli.write_team import write_team
from subactors.runtime.errors import TeamFileError
from subactors.runtime.team.key_variables import known_keys
from subactors.runtime.teamfile.load import load_team


def printed_commands(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("  ")]


def without_keys() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN"))}


def run_in_a_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    shell = ["sh", "-c", command]
    return subprocess.run(shell, cwd=folder, env=without_keys(), capture_output=True, text=True, check=False)


def test_the_commands_that_it_prints_run_as_they_are_printed(tmp_path: Path) -> None:
    written = subactors(tmp_path, "init", "my team", "--model", "none")
    assert written.returncode == 0, written.stderr
    folder, *commands = printed_commands(written.stdout)
    assert len(commands) == 3

    done = [run_in_a_shell(f"{folder} && {command}", tmp_path) for command in commands]

    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]
    assert "Would run here: surveyor." in done[0].stdout
    assert "work.py: agent 1, task 7, tool 1" in done[1].stdout
    assert done[2].stdout.count("=== agent_task_") == 3


def test_a_team_with_the_model_of_a_server_runs_as_it_is(tmp_path: Path) -> None:
    def answer(request: Request) -> Calls | Text:
        if request.turn == 0:
            return Calls(("run_background_agent", {"agent": "surveyor", "task": "tool"}), ("text_files", {}))
        if request.turn == 1:
            assert "work.py" in "".join(request.tool_answers)
            return Calls(("wait_background_agents", {}))
        assert "work.py: tool 1" in "".join(request.tool_answers)
        return Text(f"The model {request.model} has counted.")

    with ModelServer(answer) as server:
        written = subactors(tmp_path, "init", "--base-url", server.base_url)
        ran = subactors(tmp_path, "run", "team.yaml", "Where is the word tool?")

    assert written.returncode == 0, written.stderr
    assert ran.stdout == "The model listed: 1 has counted.\n", ran.stderr


@pytest.mark.parametrize("there", ["team.yaml", "work.py"])
def test_nothing_is_written_where_one_of_the_files_is_there(
    tmp_path: Path, there: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / there).write_text("mine")

    assert write_team(str(tmp_path), "none", None, None, ask=False) == 1

    assert f"{there} is in {tmp_path} already. Nothing was written." in capfd.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


def test_on_a_terminal_it_asks_until_it_has_folder_model_and_tools(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    os.write(ours, b"asked\n9\nqwen3\nollama/qwen3:8b\nhammer\nthink, shell\n")  # ahead of the questions

    command = subprocess.Popen([*COMMAND, "init"], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)

    assert command.wait() == 0, shown
    agent = load_team(tmp_path / "asked" / "team.yaml").agents["root"]
    assert agent.model is not None
    assert (agent.model.provider, agent.model.name) == ("ollama", "qwen3:8b")
    assert [toolset.type for toolset in agent.toolsets] == ["background_agents", "python", "think", "shell"]
    assert b"  cd asked" in shown
    asked = shown.partition(b"Wrote ")[0].replace(b"]: ", b"]: \n")  # the line breaks that were typed were shown before
    assert [line for line in asked.splitlines() if len(line) > 80] == []
    for refused in (b"There is no 9", b"'qwen3' is not a reference", b"There is no toolset 'hammer'"):
        assert refused in shown


@pytest.mark.parametrize(
    ("model", "base_url", "tools", "said"),
    [
        ("qwen3", None, None, "'qwen3' is not a reference to a model"),
        ("none", None, "hammer", "There is no toolset 'hammer'."),
        (None, "gpu:8000", None, "The address is not a URL that begins with http"),
        (None, "http://127.0.0.1:9/v1", None, "Nothing at http://127.0.0.1:9/v1 says which models it has."),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    tmp_path: Path, model: str | None, base_url: str | None, tools: str | None, said: str
) -> None:
    with pytest.raises((click.UsageError, TeamFileError), match=re.escape(said)):
        write_team(str(tmp_path / "new"), model, base_url, tools, ask=False)

    assert not (tmp_path / "new").exists()


def test_a_model_without_its_key_is_written_and_its_need_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)

    assert write_team(str(tmp_path), "mistral/x", None, None, ask=False) == 0

    assert "Set the environment variable MISTRAL_API_KEY." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("model", "base_url", "needed"),
    [
        (
            "ollama/qwen3",
            None,
            "Nothing at http://127.0.0.1:9/v1 says that it has a model. Start the server of ollama/",
        ),
        ("qwen", "http://127.0.0.1:9/v1", "Nothing at http://127.0.0.1:9/v1 says that it has a model."),
        (
            "auto",
            None,
            "Nothing at http://127.0.0.1:9/engines/v1 says that it has a model. Start the server of auto (dmr/",
        ),
        ("python/x_of_nobody:y", None, "x_of_nobody:y: there is no module 'x_of_nobody'."),
    ],
)
def test_what_the_model_of_a_new_team_lacks_is_told(  # noqa: PLR0917 - parameters and fixtures
    tmp_path: Path,
    model: str,
    base_url: str | None,
    needed: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in known_keys():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("MODEL_RUNNER_HOST", "http://127.0.0.1:9")

    assert write_team(str(tmp_path), model, base_url, None, ask=False) == 0

    assert needed in capfd.readouterr().err


def test_a_model_that_its_server_does_not_have_is_told_and_one_that_it_has_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    models = {"data": [{"id": "qwen3:latest"}, {"id": "other"}]}
    with Pages({"/v1/models": Page(msgspec.json.encode(models))}) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        assert write_team(str(tmp_path / "a"), "ollama/qwen3", None, None, ask=False) == 0
        had = capfd.readouterr().err
        assert write_team(str(tmp_path / "b"), "ollama/qwen4", None, None, ask=False) == 0
        lacked = capfd.readouterr().err

    assert "has no model" not in had
    assert (
        "has no model 'qwen4' for conversations; it has qwen3:latest, other. Load it with `ollama pull qwen4`."
        in lacked
    )


def test_a_folder_whose_name_begins_with_a_dash_can_be_gone_to(tmp_path: Path) -> None:
    written = subactors(tmp_path, "init", "--model", "none", "--", "-dash")
    folder, check, *_ = printed_commands(written.stdout)

    done = run_in_a_shell(f"{folder} && {check}", tmp_path)

    assert done.returncode == 0, done.stderr


def test_servers_are_found_that_answer_with_models_that_can_talk() -> None:
    with ModelServer([]) as server, ModelServer([]) as other:
        places = {
            "first": server.base_url,
            "nobody": "http://127.0.0.1:9/v1",
            "other paths": f"{other.base_url}/elsewhere",
        }
        found = answering(places)

    assert [(each.title, each.models) for each in found] == [("first", ("listed: 1",))]


def test_a_provider_is_proposed_whose_key_is_in_the_environment() -> None:
    assert with_keys({"GEMINI_API_KEY": "x", "OPENAI_API_KEY": " "}) == [("google/gemini-3.5-flash", "GEMINI_API_KEY")]


def test_a_server_that_answers_drop_by_drop_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not done.wait(0.05):
                    connection.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        assert models_at(f"http://127.0.0.1:{listener.getsockname()[1]}/v1") == ()
        done.set()
        thread.join()
