"""The examples: each is run as its first lines say, in a clone. Some have tests of their own, beside this file."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from first_lines import EXAMPLES, as_written, beginning, clone, commands, environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pages import ROOT

PATIENCE: Final = 50.0

TESTED_ELSEWHERE: Final = {
    "entrypoints": "test_entrypoint_example.py",
    "frameworks": "runtime/adapters/test_frameworks_guide.py",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A clone of the repository."""
    return clone(tmp_path)


# --- what they need -------------------------------------------------------------------------------------------------


def test_each_example_is_in_the_list_and_has_a_test() -> None:
    listed = beginning()
    tests = Path(__file__).read_text()

    assert sorted(listed) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
    assert [name for name in listed if name not in TESTED_ELSEWHERE and f'"{name}"' not in tests] == []
    assert [file for file in TESTED_ELSEWHERE.values() if not (ROOT / "tests" / file).is_file()] == []


def installed_by(command: str) -> set[str]:
    """The distributions that a command installs in a clone, without those that they need themselves."""
    pip, install, *asked = shlex.split(command)
    assert (pip, install) == ("pip", "install")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {"subactors"}
    here = [one for one in asked if one.startswith(".")]
    assert len(here) == 1, "there is no release, so it is installed from the clone"
    waiting = [
        *project["dependencies"],
        here[0].replace(".", "subactors", 1),
        *(one for one in asked if one not in here),
    ]
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name == "subactors":
            waiting += [one for extra in requirement.extras for one in project["optional-dependencies"][extra]]
        found.add(canonicalize_name(requirement.name))
    return found


def imported_by(path: Path) -> Iterator[str]:
    """The packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("example", beginning())
def test_the_first_lines_install_what_an_example_imports_and_what_they_call(example: str) -> None:
    install, *others = commands(example)
    there = installed_by(install)
    providers = importlib.metadata.packages_distributions()
    needed = {name for path in (EXAMPLES / example).glob("*.py") for name in imported_by(path)}
    programs = {shlex.split(line)[0] for line in others}
    scripts = importlib.metadata.entry_points(group="console_scripts")
    needed_for = {name: providers[name] for name in needed if name in providers}
    needed_for |= {script.name: [script.dist.name] for script in scripts if script.name in programs and script.dist}

    missing = {
        name: found for name, found in needed_for.items() if not there & {canonicalize_name(one) for one in found}
    }

    assert others
    assert missing == {}


# --- what they do ---------------------------------------------------------------------------------------------------


def test_the_functions_count_the_words_of_each_file(copy: Path) -> None:
    lines = as_written("functions", copy).splitlines()

    assert [line.partition(": ")[0] for line in lines] == ["README.md", "docs/containers.md", "docs/index.md"]
    assert all(" words, most of all " in line for line in lines)


def test_the_research_team_has_a_paragraph_for_each_topic(copy: Path) -> None:
    said = as_written("research", copy)

    assert [line.partition(".")[0] for line in said.split("\n\n")] == [
        f"{topic} live in groups" for topic in ("Ants", "Bees", "Wasps")
    ]


def test_the_agent_with_tools_corrects_a_call_that_its_tool_refused(copy: Path) -> None:
    assert as_written("python_tools", copy) == "Ada has spent 42.5 in 2 orders.\n"


def test_the_review_leaves_a_branch_for_each_check_that_found_something(copy: Path) -> None:
    (copy / "one.py").write_text("x = 1  \n")
    (copy / "two.py").write_text("if x:\n\ty = 2\n")
    who = {f"GIT_{role}_{what}": "me" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*arguments: str) -> str:
        here = environment(copy, **who)
        return subprocess.run(
            [shutil.which("git") or "git", *arguments], cwd=copy, env=here, check=True, capture_output=True, text=True
        ).stdout

    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
        git(*arguments)

    said = as_written("code_review", copy, **who)

    spaces, tabs, newline = said.splitlines()
    assert "1 files, on the branch subactors/" in spaces
    assert newline.endswith("nothing found")
    assert git("show", f"{tabs.split()[-1]}:two.py") == "if x:\n    y = 2\n"
    assert (copy / "two.py").read_text() == "if x:\n\ty = 2\n"


@pytest.mark.slow
def test_the_host_of_mcp_gets_the_results_of_its_tasks(copy: Path) -> None:
    said = as_written("mcp_host", copy)

    assert "all about ants" in said
    assert "all about bees" in said


@pytest.mark.slow
def test_the_crash_test_passes_where_the_repository_has_settings_that_need_plugins(copy: Path) -> None:
    said = as_written("crash_test", copy, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS="-p no:cacheprovider")

    assert "2 passed" in said


def test_the_cells_of_the_notebook_run_one_after_the_other(copy: Path) -> None:
    pytest.importorskip("IPython")
    notebook = json.loads((EXAMPLES / "notebook" / "survey.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    session = copy / "examples" / "notebook" / "session.py"
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

    here = environment(copy, IPYTHONDIR=str(copy.parent))
    command = [sys.executable, session.name]
    done = subprocess.run(
        command, cwd=session.parent, env=here, check=False, capture_output=True, text=True, timeout=PATIENCE
    )

    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "The task's process was ended by SIGABRT." in said
    assert "session.py is read" in said


def asked(example: str, copy: Path) -> list[dict[str, Any]]:
    """Start a service as its first lines say, but at a port that is free; return the events that `curl` would print."""
    _, serve, curl = commands(example)
    command = [sys.executable, "-m", *shlex.split(serve), "--port", "0"]
    with subprocess.Popen(command, cwd=copy, env=environment(copy), stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stderr is not None
            line = next((line for line in service.stderr if "running on" in line), "")
            url = line.partition("running on ")[2].split()[0]
            reader = threading.Thread(target=service.stderr.read)
            reader.start()
            answer = httpx2.get(re.sub(r"^http://[^/]+", url, shlex.split(curl)[-1]), timeout=PATIENCE)
        finally:
            service.terminate()
        reader.join(PATIENCE)
        service.wait(PATIENCE)
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def test_the_service_streams_what_becomes_of_the_tasks_of_a_request(copy: Path) -> None:
    pytest.importorskip("fastapi")
    ended = [event["task"] for event in asked("fastapi", copy) if event["event"] == "ended"]

    assert [task["result"] for task in ended] == [1, 1]


@pytest.mark.slow
def test_the_service_of_starlette_gives_a_request_to_five_tasks(copy: Path) -> None:
    pytest.importorskip("sse_starlette")
    ended = [event["task"] for event in asked("web", copy) if event["event"] == "ended"]

    assert sorted(task["result"].split()[3] for task in ended) == sorted(
        ("history", "biology", "economy", "language", "future")
    )
