"""The examples: each is run as its first lines say. Larger ones have tests of their own, beside this file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import httpx2
import pytest
from pages import ROOT

EXAMPLES: Final = ROOT / "examples"
SUBACTORS: Final = str(Path(sys.executable).with_name("subactors"))
PATIENCE: Final = 50.0

TESTED_ELSEWHERE: Final = {
    "entrypoints": "test_entrypoint_example.py",
    "frameworks": "runtime/adapters/test_frameworks_guide.py",
    "functions": "test_functions_example.py",
    "web": "test_web_service.py",
}


def run(*command: str, folder: Path, **environment: str) -> str:
    """Run a program, and return what it prints; it keeps its state beside its folder."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SUBACTORS_STATE_DIR": str(folder.parent / "state"), **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to work in; the examples are used where they lie."""
    work = tmp_path / "work"
    work.mkdir()
    return work


def test_each_example_is_in_the_list_and_has_a_test() -> None:
    listed = re.findall(r"^\| \[(\w+)\]", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    tests = Path(__file__).read_text()

    assert sorted(listed) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
    assert [name for name in listed if name not in TESTED_ELSEWHERE and f'"{name}"' not in tests] == []
    assert [file for file in TESTED_ELSEWHERE.values() if not (ROOT / "tests" / file).is_file()] == []


def test_the_research_team_has_a_paragraph_for_each_topic(folder: Path) -> None:
    said = run(SUBACTORS, "run", str(EXAMPLES / "research" / "team.yaml"), "ants, bees", folder=folder)

    assert [line.partition(".")[0] for line in said.split("\n\n")] == ["Ants live in groups", "Bees live in groups"]


def test_the_agent_with_tools_corrects_a_call_that_its_tool_refused(folder: Path) -> None:
    said = run(SUBACTORS, "run", str(EXAMPLES / "python_tools" / "team.yaml"), "How much?", folder=folder)

    assert said == "Ada has spent 42.5 in 2 orders.\n"


def test_the_review_leaves_a_branch_for_each_check_that_found_something(folder: Path) -> None:
    (folder / "one.py").write_text("x = 1  \n")
    (folder / "two.py").write_text("if x:\n\ty = 2\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
        who = {f"GIT_{role}_{what}": "me" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        run("git", *arguments, folder=folder, **who)

    said = run(SUBACTORS, "run", str(EXAMPLES / "code_review" / "team.yaml"), "all", folder=folder, **who)

    spaces, tabs, newline = said.splitlines()
    assert "1 files, on the branch subactors/" in spaces
    assert newline.endswith("nothing found")
    assert run("git", "show", f"{tabs.split()[-1]}:two.py", folder=folder) == "if x:\n    y = 2\n"
    assert (folder / "two.py").read_text() == "if x:\n\ty = 2\n"


@pytest.mark.slow
def test_the_host_of_mcp_gets_the_results_of_its_tasks(folder: Path) -> None:
    said = run(sys.executable, str(EXAMPLES / "mcp_host" / "host.py"), "ants", "bees", folder=folder)

    assert "all about ants" in said
    assert "all about bees" in said


@pytest.mark.slow
def test_the_crash_test_passes(folder: Path) -> None:
    shutil.copytree(EXAMPLES / "crash_test", folder / "crash_test")

    said = run(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "crash_test", folder=folder)

    assert "2 passed" in said


def test_the_cells_of_the_notebook_run_one_after_the_other(folder: Path) -> None:
    pytest.importorskip("IPython")
    notebook = json.loads((EXAMPLES / "notebook" / "survey.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    session = folder / "session.py"
    session.write_text(
        "import asyncio\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "async def run():\n"
        f"    for cell in {cells!r}:\n"
        "        done = await shell.run_cell_async(cell, transformed_cell=shell.transform_cell(cell))\n"
        "        done.raise_error()\n"
        "asyncio.run(run())\n"
    )

    said = run(sys.executable, str(session), folder=folder, IPYTHONDIR=str(folder.parent))

    assert "The task's process was ended by SIGABRT." in said
    assert "session.py is read" in said


def test_the_service_streams_what_becomes_of_the_tasks_of_a_request(folder: Path) -> None:
    pytest.importorskip("fastapi")
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES / "fastapi"), "--port", "0", "service:app"]
    environment = {**os.environ, "SUBACTORS_STATE_DIR": str(folder / "state")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stderr is not None
            line = next((line for line in service.stderr if "running on" in line), "")
            url = line.partition("running on ")[2].split()[0]
            reader = threading.Thread(target=service.stderr.read)
            reader.start()
            answer = httpx2.get(f"{url}/count", params={"text": ["one", "two words"]}, timeout=PATIENCE)
            tasks = httpx2.get(f"{url}/tasks", timeout=PATIENCE).json()
        finally:
            service.terminate()
        reader.join(PATIENCE)
        service.wait(PATIENCE)

    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert sorted(event["task"]["result"] for event in events if event["event"] == "ended") == [1, 2]
    assert [task["status"] for task in tasks] == ["completed", "completed"]
