"""Modules beside the team file: tasks find them before any other, wherever the command is run and the agents work."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from first_forms import first_always
from processes_and_waits import wait_until
from subactors.runtime import Runtime
from teams import run_and_wait

TEAM = """\
agents:
  model: {model: "python/beside.models:answer"}
  code: {entrypoint: "helper:work"}
"""

HELPER = """\
import json, os, sys

def work(task):
    import package_of_helper.deep as deep
    return {"file": __file__, "path": sys.path[0], "deep": deep.__file__, "cwd": os.getcwd(), "loaded": NOTE}

NOTE = "by " + str(os.getpid())
"""


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A team file with modules beside it, in a folder that is on no path."""
    folder = tmp_path / "team folder"
    for package in ("beside", "package_of_helper"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("")
    (folder / "beside" / "models.py").write_text("def answer(messages, tools):\n    return __file__\n")
    (folder / "package_of_helper" / "deep.py").write_text("")
    (folder / "helper.py").write_text(HELPER)
    (folder / "team.yaml").write_text(TEAM)
    return folder / "team.yaml"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def subactors(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        # -P: without the current directory on the path, as the command is installed.
        [sys.executable, "-P", "-m", "subactors.runtime.cli", *arguments],
        cwd=cwd,
        env={**environ, "SUBACTORS_STATE_DIR": str(cwd / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_an_entrypoint_beside_the_team_file_is_found_and_so_is_what_it_imports(team: Path, elsewhere: Path) -> None:
    done = subactors(elsewhere, "run", str(team), "-a", "code", "x")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["file"] == str(team.parent / "helper.py")
    assert found["path"] == str(team.parent)
    assert found["deep"] == str(team.parent / "package_of_helper" / "deep.py")


def test_a_python_model_beside_the_team_file_is_found_by_a_relative_path_and_with_another_working_directory(
    team: Path, elsewhere: Path
) -> None:
    path = os.path.relpath(team, elsewhere)
    done = subactors(elsewhere, "run", path, "-a", "model", "x", "--working-dir", "/")
    assert (done.returncode, done.stdout.strip()) == (0, str(team.parent / "beside" / "models.py")), done.stderr


def test_a_team_file_that_is_a_link_has_modules_beside_it_and_beside_what_it_links_to(
    team: Path, elsewhere: Path
) -> None:
    (elsewhere / "link.yaml").symlink_to(team)
    (elsewhere / "helper.py").write_text("def work(task):\n    return 'beside the link'\n")
    assert subactors(elsewhere, "dispatch", "link.yaml", "model", "x").returncode == 0
    assert "beside the link" in subactors(elsewhere, "dispatch", "link.yaml", "code", "x").stdout


def test_check_looks_beside_the_team_file_and_imports_nothing(team: Path, elsewhere: Path) -> None:
    done = subactors(elsewhere, "check", str(team))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Would run here: model, code."), done.stdout
    assert not list(team.parent.rglob("__pycache__"))
    (team.parent / "helper.py").write_text("def works(task): ...\n")
    done = subactors(elsewhere, "check", str(team))
    assert done.returncode == 1
    assert "helper:work: " in done.stdout
    assert "defines no 'work'" in done.stdout


def test_embedded_tasks_find_modules_beside_the_team_file_and_the_host_does_not(
    team: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(elsewhere)
    with Runtime.from_file(os.path.relpath(team), working_dir="/", standby=0) as runtime:
        monkeypatch.chdir("/")
        (view,) = runtime.wait([runtime.run("code", "x")])
    assert view.status == "completed", view.reason
    assert (view.result["path"], view.result["cwd"]) == (str(team.parent), "/")
    assert str(team.parent) not in sys.path
    assert "helper" not in sys.modules


def test_a_path_that_the_host_changes_comes_after_the_folder_of_the_team_file(
    team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Runtime.from_file(team, standby=0) as runtime:
        monkeypatch.syspath_prepend(str(tmp_path / "added"))
        (tmp_path / "added").mkdir()
        (tmp_path / "added" / "helper.py").write_text("work = None\n")
        (view,) = runtime.wait([runtime.run("code", "x")])
    assert view.status == "completed", view.reason


# --- names that others have, too --------------------------------------------------------------------------------------


def test_a_module_of_the_host_with_the_same_name_is_another_one(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "helper", logging)
    with Runtime.from_file(team, standby=0) as runtime:
        (view,) = runtime.wait([runtime.run("code", "x")])
    assert view.status == "completed", view.reason


@pytest.mark.parametrize("agent", ["code", "model"])
def test_files_with_the_names_of_all_libraries_break_nothing(team: Path, elsewhere: Path, agent: str) -> None:
    libraries = {"msgspec", "subactors", "openai", "anyio", "httpx2", "mcp", "pydantic", "pykka"}
    for name in sys.stdlib_module_names | libraries:
        (team.parent / f"{name}.py").write_text("raise RuntimeError('I am not it')\n")
    done = subactors(elsewhere, "run", str(team), "-a", agent, "x")
    assert done.returncode == 0, done.stderr


@first_always("name", ["json", "time", "msgspec"])
def test_a_module_that_is_hidden_by_one_with_its_name_is_told(team: Path, elsewhere: Path, name: str) -> None:
    (team.parent / f"{name}.py").write_text("def work(task): ...\n")
    team.write_text(f"agents: {{code: {{entrypoint: '{name}:work'}}}}\n")
    for arguments in (["check", str(team)], ["run", str(team), "x"]):
        done = subactors(elsewhere, *arguments)
        assert done.returncode == 1
        assert str(team.parent / f"{name}.py") in done.stdout + done.stderr
        assert "Rename yours" in done.stdout + done.stderr


# --- preload ----------------------------------------------------------------------------------------------------------


def test_a_module_beside_the_team_file_is_preloaded_and_found_by_all(team: Path) -> None:
    with Runtime.from_file(team, preload=("helper",), standby=0) as runtime:
        views = runtime.wait([runtime.run("code", "x") for _ in range(2)])
    assert len({view.result["loaded"] for view in views}) == 1
    assert all(view.result["loaded"] != f"by {view.pid}" for view in views)


PRELOADS = """\
runtime: {preload: [missing_module, raises, exits, prints, helper]}
"""


@pytest.fixture
def failing(team: Path) -> Path:
    """The same team, with a `preload` most of which fails."""
    (team.parent / "raises.py").write_text("raise ValueError('two\\nlines')\n")
    (team.parent / "exits.py").write_text("import sys\nsys.exit('enough')\n")
    (team.parent / "prints.py").write_text("print('printed while it was imported')\n")
    team.write_text(TEAM + PRELOADS)
    return team


def test_a_preload_that_fails_is_a_line_on_standard_error_and_others_go_on(failing: Path, elsewhere: Path) -> None:
    done = subactors(elsewhere, "run", str(failing), "-a", "code", "x")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "could not be imported" in line]
    assert [line.split()[1] for line in told] == ["missing_module", "raises", "exits"]
    assert "ModuleNotFoundError: No module named 'missing_module'" in told[0]
    assert "ValueError: two lines" in told[1]
    assert "SystemExit: enough" in told[2]


def test_what_a_preloaded_module_prints_is_no_part_of_the_answer(failing: Path, elsewhere: Path) -> None:
    done = subactors(elsewhere, "run", str(failing), "-a", "model", "x")
    assert done.stdout == f"{failing.parent}/beside/models.py\n"


def test_a_preload_that_fails_is_logged(failing: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="subactors.runtime"), Runtime.from_file(failing):
        wait_until(lambda: len(caplog.records) == 3, "all three have been told")
    assert all(record.name == "subactors.runtime" for record in caplog.records)


@first_always("deed", ["os._exit(4)", "os.closerange(3, 4096)", "os.execvp('true', ['true'])", "os.abort()"])
def test_a_module_that_ends_the_zygote_is_named_in_the_reason(tmp_path: Path, deed: str) -> None:
    (tmp_path / "fatal.py").write_text(f"import os\n{deed}\ndef work(task):\n    return 'done'\n")
    (tmp_path / "team.yaml").write_text("agents: {a: {entrypoint: 'fatal:work'}}\nruntime: {preload: [os, fatal]}\n")
    with Runtime.from_file(tmp_path / "team.yaml", standby=0) as runtime:
        view = run_and_wait(runtime, "a")

    assert view.status == "failed"
    assert "when it may have been importing os, fatal, and its processes with it" in view.reason


def test_check_tells_which_modules_could_not_be_preloaded(failing: Path, elsewhere: Path) -> None:
    (failing.parent / "raises.py").write_text("def broken(:\n")
    done = subactors(elsewhere, "check", str(failing))
    assert done.returncode == 0, done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("  runtime.preload: ")]
    assert len(told) == 2
    assert "there is no module 'missing_module'" in told[0]
    assert "raises.py cannot be read as Python" in told[1]
