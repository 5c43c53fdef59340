"""How long the command line takes for the least that it can do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import monotonic

from ..contenders.base import Contender, NotOfferedError
from ..results import Recorder
from .base import Scenario, Size

__all__ = ["SCENARIO"]


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Run `--help` and `ps`, the latter beside a runtime that lives, in the state folder of this benchmark."""
    program = Path(sys.executable).parent / "subactors"
    if not program.exists():
        raise NotOfferedError(f"{program.name} is not installed beside this Python")
    contender.open(1)
    task = contender.start("idle")
    for _ in range(size.samples):
        for arguments in (["--help"], ["ps"]):
            began = monotonic()
            done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=True)
            record.add(f"subactors {arguments[0]}", monotonic() - began, "s")
            if not done.stdout:
                raise RuntimeError(f"subactors {arguments[0]} printed nothing: {done.stderr}")
    task.stop()


SCENARIO = Scenario(
    "command-line",
    "the command line: --help and ps",
    measure,
    ("subactors",),
    full=Size(rounds=3, samples=10),
    quick=Size(rounds=1, samples=4),
)
