"""The guide to other frameworks: it shows the programs of the examples, and they run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from framework_loops import FRAMEWORKS, skip_without
from model_server import Calls, ModelServer, Reply, Request, Text

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
EXAMPLES: Final = ROOT / "examples" / "frameworks"
PATIENCE: Final = 150.0
"""Seconds: frameworks take some of them to import, and a busy machine takes several times as many."""

pytestmark = pytest.mark.timeout(PATIENCE + 10)

BOSSES: Final = {"openai": "openai_agents_boss", "langchain": "langchain_boss", "pydantic": "pydantic_ai_boss"}


def _run(program: str, server: ModelServer, folder: Path) -> str:
    """Run a program in a copy of the examples, with models that are at a server; return what it prints."""
    there = folder / "examples"
    shutil.copytree(EXAMPLES, there)
    done = subprocess.run(
        [sys.executable, f"{program}.py"],
        cwd=there,
        env={
            **os.environ,
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "none",
            "OPENAI_AGENTS_DISABLE_TRACING": "1",
            "SUBACTORS_STATE_DIR": str(folder / "state"),
            "PYTHONSAFEPATH": "",
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _boss_and_workers(request: Request) -> Reply:
    """A boss who asks all three; each of the workers has an answer of its own."""
    if "transfer_task" not in request.tools:
        asked = str(request.messages[-1]["content"])
        return Text(f"What I found: {asked}", usage=(10, 7))
    if request.turn == 0:
        return Calls(*(("transfer_task", {"agent": one, "task": one}) for one in ("ants", "bees", "wasps")))
    return Text(" ".join(request.tool_answers))


def test_the_guide_shows_the_examples_as_they_are() -> None:
    text = (ROOT / "docs" / "frameworks.md").read_text()
    shown = set(re.findall(r"^```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))

    assert shown == {path.read_text() for path in EXAMPLES.iterdir() if path.is_file()}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_boss_of_a_framework_has_agents_of_all_three_at_work(framework: str, tmp_path: Path) -> None:
    for needed in FRAMEWORKS:
        skip_without(needed)
    with ModelServer(_boss_and_workers) as server:
        printed = _run(BOSSES[framework], server, tmp_path)

    assert printed.split("What I found: ")[1:] == ["ants ", "bees ", "wasps\n"]


def test_agents_of_all_three_work_at_the_same_time_and_count_what_they_use(tmp_path: Path) -> None:
    for needed in FRAMEWORKS:
        skip_without(needed)
    with ModelServer(_boss_and_workers) as server:
        printed = _run("fan_out", server, tmp_path)

    assert printed.splitlines() == [
        f"{name} What I found: How long do {name} live? 7" for name in ("ants", "bees", "wasps")
    ]
