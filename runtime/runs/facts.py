"""Facts: what a run's journal notes about its host: which program it was, and what it ran where."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from ...actors.regular_files import is_regular

__all__ = ["Facts"]


class Facts(NamedTuple):
    """See the module.

    Attributes:
        host: process id of the host.
        team: where the team was from, as messages call it.
        team_file: the team file, if it was one, with its whole path; else empty.
        working_dir: where its tasks worked, and the host when it started.
        command: the program, and of `subactors` the command. No arguments: a secret may be among them.
    """

    host: str = ""
    team: str = ""
    team_file: str = ""
    working_dir: str = ""
    command: str = ""

    @classmethod
    def of_this_process(cls, team: str, working_dir: str) -> Self:
        """Return those of a host in this process; without a working directory its current one."""
        current = ""
        with contextlib.suppress(OSError):  # it has been removed
            current = str(Path.cwd())
        file = os.path.join(current, team)  # noqa: PTH118 - what is no path stays as it is
        return cls(str(os.getpid()), team, file if is_regular(file) else "", working_dir or current, _command())

    @classmethod
    def of_journal(cls, noted: Mapping[str, str]) -> Self:
        """Return what a journal has noted; of an earlier version it may be less."""
        return cls(**{name: noted[name] for name in cls._fields if name in noted})


def _command() -> str:
    program = sys.argv[0] if sys.argv else ""
    if "subactors.runtime.cli.main" in sys.modules:  # no host program imports it
        return " ".join(["subactors", *sys.argv[1:2]])
    path = Path(program)
    if path.name == "__main__.py":  # of a package that was run by its name
        return f"python -m {path.parent.name}"
    return f"python {program}".strip() if program in {"", "-c", "-"} else path.name
