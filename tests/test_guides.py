"""The programs in the guides: each is run as its reader would run it, and says what the guide says that it does.

A block whose first line is a comment with a file's name is that file. Every other block of Python is a program. A block
of text after it is what it prints; `…` stands for anything. The blocks of a walk are pasted into a shell one after the
other. What is not run says so in a comment before it: `<!-- not run: why -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from first_forms import first_always
from pages import ROOT, Block, blocks, guide

GUIDES: Final = ("async-and-web", "embedding", "entrypoints", "events", "functions", "orchestrators", "telemetry")
"""Pages of `docs/` whose programs run as they are."""

CELLS: Final = "notebooks"
"""The page whose programs are cells of one session of IPython."""

PATIENCE: Final = 50.0

PATIENCE_OF_A_WALK: Final = 200.0
"""Some pages measure something."""

WALKS: Final = ("README", "tutorial", "operating", "command-line", "benchmarking")
"""Pages whose blocks, of the shell and of Python, are pasted one after the other in an empty folder; files, too."""

BESIDE: Final = {
    "command-line": """\
cat > team.yaml <<'END'
agents:
  root: {entrypoint: work:say, sub_agents: [researcher]}
  researcher: {entrypoint: work:say}
  reviewer: {entrypoint: work:say}
END
printf 'def say(task):\\n    return f"about {task.text}"\\n' > work.py
printf 'ants\\n' > topics.txt
git init --quiet . && git add . && printf 'bees\\n' >> topics.txt
"""
}
"""What a page takes for granted in the folder of its reader, as commands that make it."""

ELSEWHERE: Final = {"frameworks": "runtime/adapters/test_frameworks_guide.py"}
"""Pages whose blocks the tests of another file run."""

BY_HAND: Final = {("README", "Quick start"), ("README", "Tests")}
"""Sections whose first block installs the package, and runs what is tested here."""


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


def programs(name: str) -> list[Program]:
    found: list[Program] = []
    files: dict[str, str] = {}
    for block in blocks(guide(name)):
        if block.mark:
            continue
        if block.file is not None:
            files[block.file] = block.text
        elif block.kind == "python":
            found.append(Program(f"{name}-{len(found) + 1}", block.text, None, files))
        elif block.kind == "text" and found:
            found[-1] = found[-1]._replace(expected=block.text)
    return found


def is_said(expected: str, said: str) -> bool:
    pattern = re.escape(expected.rstrip()).replace("…", ".*")
    return re.fullmatch(pattern, said.rstrip(), re.DOTALL) is not None


PROGRAMS: Final = [program for name in GUIDES for program in programs(name)]


@first_always("program", PROGRAMS, ids=lambda program: program.name)
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
        assert is_said(program.expected, done.stdout), done.stdout


def test_each_guide_has_a_program() -> None:
    assert {program.name.rpartition("-")[0] for program in PROGRAMS} == set(GUIDES)


def test_the_cells_of_a_guide_run_one_after_the_other_in_one_session(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    found = blocks(guide(CELLS))
    cells = [block.text for block in found if block.kind == "ipython"]
    expected = [block.text.rstrip() for block in found if block.kind == "text"]
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


# --- walks ----------------------------------------------------------------------------------------------------------


def steps(name: str) -> list[tuple[Block, str | None]]:
    """The blocks of a walk, each with what it prints, if the page says so."""
    found: list[tuple[Block, str | None]] = []
    for block in blocks(guide(name)):
        if block.mark or (block.page, block.section) in BY_HAND:
            continue
        if block.kind in {"sh", "python"} or block.file is not None:
            found.append((block, None))
        elif block.kind == "text" and found and found[-1][0].section == block.section:
            found[-1] = (found[-1][0], block.text)
    return found


def pasted(block: Block, number: int) -> str:
    if block.kind == "sh":
        return block.text
    name = block.file or f"step_{number}.py"
    written = f"cat > {name} <<'END OF PROGRAM'\n{block.text}END OF PROGRAM\n"
    return written if block.file is not None else f"{written}python {name}\n"


@first_always("name", WALKS)
@pytest.mark.timeout(PATIENCE_OF_A_WALK + 10)
def test_the_blocks_of_a_walk_can_be_pasted_one_after_the_other_into_an_empty_folder(name: str, tmp_path: Path) -> None:
    walk = steps(name)
    shell = BESIDE.get(name, "") + "".join(
        f"{pasted(block, number)}printf '\\036'\n" for number, (block, _) in enumerate(walk)
    )
    folder = tmp_path / "empty"
    folder.mkdir()

    done = subprocess.run(
        ["/bin/bash", "-e"],
        input=shell,
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "SUBACTORS_STATE_DIR": str(tmp_path / "state"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_OF_A_WALK,
    )

    assert done.returncode == 0, done.stderr
    said = done.stdout.split("\x1e")
    for (block, expected), text in zip(walk, said, strict=False):
        assert expected is None or is_said(expected, text), f"{block.section}: {text}{done.stderr}"


# --- nothing is left out --------------------------------------------------------------------------------------------

RUN_IN: Final = {
    "python": (*GUIDES, *WALKS),
    "sh": WALKS,
    "ipython": (CELLS,),
}
"""Kinds of blocks that can be run, and the pages where they are. YAML is read on every page (`test_documents`)."""

SHOWN: Final = {"yaml", "json", "toml", "ini", "text", "xml"}
"""Kinds that are read, or only looked at."""


def test_each_block_that_can_be_run_is_run_or_says_why_not() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = [block for page in pages for block in blocks(page)]
    assert {block.kind for block in found} <= SHOWN | RUN_IN.keys(), "such a block would be taken for text"
    left_out = [
        f"{block.page}, {block.section}: {block.text.partition(chr(10))[0]}"
        for block in found
        if block.kind in RUN_IN
        and block.page not in RUN_IN[block.kind]
        and block.page not in ELSEWHERE
        and not block.mark
    ]

    assert left_out == []
    assert [file for file in ELSEWHERE.values() if not (ROOT / "tests" / file).is_file()] == []
