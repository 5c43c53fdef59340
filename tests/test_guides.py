"""The programs in the guides: each is run as its reader would run it, and says what the guide says that it does.

A block whose first line is a comment with a file's name is that file. Every other block of Python is a program. A block
of text after it is what it prints; `…` stands for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())

GUIDES: Final = ("async-and-web", "embedding", "entrypoints", "functions", "orchestrators")
"""Pages of `docs/` whose programs run as they are."""

CELLS: Final = "notebooks"
"""The page whose programs are cells of one session of IPython."""

PATIENCE: Final = 50.0

BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE: Final = re.compile(r"^# ([\w./-]+\.\w+)$")


class Program(NamedTuple):
    """A program of a guide.

    Attributes:
        name: the guide's, and the program's number in it.
        text: the program.
        expected: what it prints; None if the guide does not say.
        files: what there is beside it, by name.
    """

    name: str
    text: str
    expected: str | None
    files: dict[str, str]


def programs(guide: str) -> list[Program]:
    found: list[Program] = []
    files: dict[str, str] = {}
    for kind, text in BLOCK.findall((ROOT / "docs" / f"{guide}.md").read_text()):
        named = FILE.match(text.partition("\n")[0])
        if named is not None:
            files[named[1]] = text
        elif kind == "python":
            found.append(Program(f"{guide}-{len(found) + 1}", text, None, files))
        elif kind == "text" and found:
            found[-1] = found[-1]._replace(expected=text)
    return found


PROGRAMS: Final = [program for guide in GUIDES for program in programs(guide)]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_of_a_guide_runs_and_prints_what_the_guide_says(program: Program, tmp_path: Path) -> None:
    for name, text in program.files.items():
        (tmp_path / name).write_text(text)
    script = tmp_path / "program.py"
    script.write_text(program.text)

    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONSAFEPATH": ""},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == 0, done.stderr
    if program.expected is not None:
        pattern = re.escape(program.expected.rstrip()).replace("…", ".*")
        assert re.fullmatch(pattern, done.stdout.rstrip()), done.stdout


def test_each_guide_has_a_program() -> None:
    assert {program.name.rpartition("-")[0] for program in PROGRAMS} == set(GUIDES)


def test_the_cells_of_a_guide_run_one_after_the_other_in_one_session(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    blocks = BLOCK.findall((ROOT / "docs" / f"{CELLS}.md").read_text())
    cells = [text for kind, text in blocks if kind == "ipython"]
    expected = [text.rstrip() for kind, text in blocks if kind == "text"]
    session = tmp_path / "session.py"
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

    done = subprocess.run(
        [sys.executable, str(session)],
        cwd=tmp_path,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == 0, done.stderr
    said = re.sub(r"^Out\[\d+\]: ", "", done.stdout, flags=re.MULTILINE).split("\n")
    assert [line for line in said if line] == [line for text in expected for line in text.split("\n")]
