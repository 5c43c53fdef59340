"""The program before it has read its arguments: an interrupt at any moment of its start is a quiet end."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROGRAM = """\
import importlib.abc, sys

class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from subactors.runtime.cli.__main__ import main
sys.argv = ["subactors", "ps"]
main()
"""


@pytest.mark.parametrize(
    "module", ["subactors.runtime.cli.main", "click", "subactors.actors", "msgspec", "subactors.runtime.cli.ps"]
)
def test_an_interrupt_while_the_program_is_imported_is_a_quiet_end(module: str) -> None:
    program = [sys.executable, "-c", PROGRAM.format(name=module)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)

    assert done.returncode == 130
    assert (done.stdout, done.stderr.strip()) == ("", "")


def test_the_command_begins_where_interrupts_are_seen_to() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]

    assert project["scripts"] == {"subactors": "subactors.runtime.cli.__main__:main"}
