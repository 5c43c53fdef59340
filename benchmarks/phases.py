"""Phases of a task's start: page faults and time of each step in its process, from the fork to the exit.

`python -m benchmarks.phases [--standby N] [--tasks N]` prints a table of medians. The steps are functions of the
product, wrapped in the zygote before it forks; each process writes what it saw to a file when it exits.

Page faults are what a start costs, and unlike times they are the same on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

__all__ = ["install", "main"]

_FOLDER: Final = "SUBACTORS_PHASES"
_FIRST: Final = "forked"
_ZYGOTE: Final = "subactors.actors.zygote.__main__"
_TEAM: Final = {
    "agents": {"worker": {"entrypoint": "benchmarks.work:serve_plainly"}},
    "runtime": {"preload": ["benchmarks.work", "benchmarks.phases"]},
}

Mark = tuple[str, int, float]


def install() -> None:
    """Wrap the steps, in the zygote; its children note when they come by."""
    from subactors.actors.child import actor_life, life  # noqa: PLC0415 - in the zygote only
    from subactors.runtime.child import actor, work  # noqa: PLC0415 - in the zygote only

    marks: list[Mark] = []

    def mark(step: str) -> None:
        if step == _FIRST:
            marks.clear()  # the zygote's own rehearsals
        marks.append((step, resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()))

    def wrap(owner: Any, name: str, before: str, after: str = "") -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            mark(before)
            try:
                return function(*args, **kwargs)
            finally:
                if after:
                    mark(after)

        setattr(owner, name, wrapped)

    wrap(sys.modules[_ZYGOTE], "serve", _FIRST)  # the zygote program has it under its own name
    wrap(life, "_leave_the_zygote", "leaving the zygote")
    wrap(life.ChildChannel, "receive_start", "waiting for Start", "Start is there")
    wrap(life, "_settle_in", "taking on the host's view")
    wrap(life, "_build_actor", "unpickling, thread, constructor")
    wrap(actor_life.Life, "serve", "saying Ready")
    wrap(actor.TaskActor, "on_receive", "the actor's loop begins")
    wrap(work.TaskWork, "run", "the task's work", "the loop ends")
    leave = os._exit

    def exit_with_marks(code: int) -> NoReturn:
        mark("exit")
        Path(os.environ[_FOLDER], f"{os.getpid()}.json").write_text(json.dumps(marks))
        leave(code)

    os._exit = exit_with_marks


def main() -> None:
    """Run some tasks one after the other, and print the steps of those processes that had one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phases", description=__doc__)
    parser.add_argument("--standby", type=int, default=0, help="processes that stand by")
    parser.add_argument("--tasks", type=int, default=30)
    options = parser.parse_args()
    from subactors.runtime import Runtime  # noqa: PLC0415 - not in the zygote, which imports this module

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as state:
        os.environ[_FOLDER] = folder
        with Runtime.from_mapping(_TEAM, standby=options.standby, state_dir=state) as runtime:
            for _ in range(options.tasks):
                time.sleep(0.05)  # so that those that stand by are replaced
                runtime.wait([runtime.run("worker", "speak")])
        found = [json.loads(path.read_text()) for path in sorted(Path(folder).iterdir())]
    # The zygote's own rehearsals have no such mark.
    tasks = [marks for marks in found if marks[0][0] == _FIRST]
    _print([_last_life(marks) for marks in tasks if any(step == "the task's work" for step, _, _ in marks)])


def _last_life(marks: list[Mark]) -> list[Mark]:
    """Return the steps without those of a rehearsal."""
    waits = [index for index, (step, _, _) in enumerate(marks) if step == "waiting for Start"]
    return marks if len(waits) < 2 else [*marks[:2], *marks[waits[-1] :]]  # noqa: PLR2004 - the second is the real one


def _print(lives: list[list[Mark]]) -> None:
    steps = [step for step, _, _ in lives[0]]
    lives = [life for life in lives if [step for step, _, _ in life] == steps]
    sys.stdout.write(f"{len(lives)} tasks\n{'step':34}{'faults':>8}{'ms':>9}\n")
    for index, step in enumerate(steps):
        before = [life[index - 1] if index else ("", 0, life[0][2]) for life in lives]
        faults = statistics.median(life[index][1] - then[1] for life, then in zip(lives, before, strict=True))
        took = statistics.median(life[index][2] - then[2] for life, then in zip(lives, before, strict=True))
        name = "until " + step
        sys.stdout.write(f"{name:34}{faults:8.0f}{took * 1000:9.2f}\n")


if __name__ == "__main__":
    main()
elif os.environ.get(_FOLDER) and _ZYGOTE in sys.modules:
    install()
