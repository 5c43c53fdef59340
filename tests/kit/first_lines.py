"""First lines: the commands that an example begins with, and a clone of the repository to run them in."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from pages import ROOT

__all__ = ["EXAMPLES", "as_written", "beginning", "clone", "commands", "environment"]

EXAMPLES: Final = ROOT / "examples"

_LISTED: Final = re.compile(r"^\| \[(\w+)\]\(([^)]+)\)", re.MULTILINE)
_PATIENCE: Final = 50.0


def beginning() -> dict[str, Path]:
    """The file of each example that its reader opens first, as the list of examples has it."""
    return {name: EXAMPLES / path for name, path in _LISTED.findall((EXAMPLES / "README.md").read_text())}


def commands(example: str) -> list[str]:
    """The commands in an example's first lines; those that install what it needs are the first ones."""
    path = beginning()[example]
    text = path.read_text()
    if path.suffix == ".ipynb":
        said = "".join(json.loads(text)["cells"][0]["source"])
    elif path.suffix == ".py":
        said = ast.get_docstring(ast.parse(text)) or ""
    else:
        head = [line for line in text.partition("\nagents:")[0].split("\n") if line.startswith("#")]
        said = "\n".join(line.removeprefix("#").removeprefix(" ") for line in head)
    return [line.strip() for line in said.split("\n") if line.startswith("    ")]


def clone(folder: Path) -> Path:
    """Copy what the commands need of the repository, with the settings that lie about in it."""
    copy = folder / "clone"
    shutil.copytree(EXAMPLES, copy / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "docs").mkdir()
    for name in ("README.md", "pyproject.toml", "docs/index.md", "docs/containers.md"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def environment(copy: Path, **more: str) -> dict[str, str]:
    """The environment of a person who has installed what the first lines say, and keeps the state beside the clone."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "SUBACTORS_STATE_DIR": str(copy.parent / "state"), **more}


def as_written(example: str, copy: Path, **more: str) -> str:
    """Run an example's commands in a clone, but for the installation; return what they print."""
    lines = [line.replace("…", "sk-of-the-test") for line in commands(example) if shlex.split(line)[0] != "pip"]
    done = subprocess.run(
        ["/bin/bash", "-ec", "\n".join(lines)],
        cwd=copy,
        env=environment(copy, **more),
        check=False,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
