"""The demonstration's surveyors at work on real files in this process, and a small project for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from subactors.runtime.agent.run import run_agent
from subactors.runtime.agent.surroundings import Surroundings
from subactors.runtime.demo import load_demo_team
from subactors.runtime.models.base import ToolCall, Turn
from subactors.runtime.team.permissions import Permissions
from subactors.runtime.toolsets.base import ToolAnswer

__all__ = ["SURVEYORS", "Listener", "function", "rows", "small_project", "survey", "write"]

SURVEYORS = ["sizes", "functions", "notes", "imports"]


class Listener:
    """Keeps what an agent says and calls."""

    def __init__(self) -> None:
        self.said = ""
        self.turns: list[Turn] = []

    def text(self, piece: str) -> None:
        self.said += piece

    def calls_begin(self, turn: Turn, messages_added: Sequence[Any], *_: Any) -> None:
        pass

    async def calls_written(self) -> None:
        pass

    def tool_called(self, call: ToolCall) -> None:
        pass

    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None:
        pass

    def turn_ended(self, turn: Turn, messages_added: Sequence[Any], *_: Any) -> None:
        del messages_added
        self.turns.append(turn)


def survey(agent: str, folder: Path, listener: Listener | None = None) -> str:
    """Run one surveyor in this process, with its real tools, and return its answer."""
    team = load_demo_team()
    around = Surroundings(
        gateway=None,  # type: ignore[arg-type] - no surveyor starts agents
        sub_agents=(),
        permissions=Permissions(),
        settings=team.settings,
        working_directory=folder,
        shared_directory=folder,
        environ=os.environ,
    )
    running = run_agent(
        team.agents[agent], around, listener or Listener(), task="Survey.", expected_output=None, is_sub_agent=True
    )
    with contextlib.chdir(folder):  # as in a task's process
        return asyncio.run(running)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def rows(text: str) -> list[list[str]]:
    """The rows of all tables of a text, without their titles; names are what they are, without their backticks."""
    lines = text.split("\n")
    return [
        [cell.strip().strip("`").strip() for cell in line.strip("|").split("|")]
        for before, line in zip(["", *lines], lines, strict=False)
        if line.startswith("|") and before.startswith("|") and not line.startswith("|--")
    ]


def function(name: str, lines: int, indent: str = "") -> str:
    return "\n".join([f"{indent}def {name}():", *[f"{indent}    x = {n}" for n in range(lines - 1)], ""])


def small_project(folder: Path) -> Path:
    """Write a small project in which every figure is known; 8 files, and some that tools have made."""
    return write(
        folder,
        {
            "README.md": "# A project\n\n[![badge](x)](y)\n\nIt does this\nand that.\n\nMore.\n",
            "pyproject.toml": '[project]\nname = "product"\n',
            "core/__init__.py": "from . import data\n",
            "core/data.py": function("small", 3) + "# TODO: load it\n",
            "core/engine.py": "import json\nimport yaml\nfrom .data import small\n" + function("longest", 60),
            "tests/test_engine.py": "import pytest\nfrom product.core import engine\nfrom product.core.data import *\n",
            "web/app.js": "import { b } from './b';\n"
            "const c = require('@x/c/d');\nfunction start() {\n  return 'TODO';\n}\n",
            "web/b.js": "export const b = 1;\n// FIXME(me): two\n",
            ".git/config.py": "def never(): pass\n",
            "node_modules/x/index.js": "function never() {}\n",
        },
    )
