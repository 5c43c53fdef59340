"""Modules that start tasks of their own code while they are imported: the first task says so, and is the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from first_forms import first_always

MODULE = """
from subactors.runtime import Runtime, TaskFailed, current_task

def work(task=None):
    return "done"

def wait():
    return runtime.submit(work).result(30)

team = {{"agents": {{"worker": {{"entrypoint": "of_its_own:work"}}}}}}
runtime = Runtime.from_mapping(team, standby=0)
{start}
"""


def _imported(folder: Path, start: str, program: str = "") -> str:
    """Return what a program prints that imports such a module."""
    (folder / "of_its_own.py").write_text(MODULE.format(start=start))
    program = f"from of_its_own import *\n{program}\nruntime.close()\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


@first_always(
    "start",
    [
        "runtime.submit(work).result(30)",
        "runtime.submit(lambda: work()).result(30)",
        "list(runtime.map(work, [1]))",
        'runtime.run("worker", "x").result(30)',
        "with runtime.group() as group: group.submit(work)",
    ],
)
def test_a_task_that_imports_its_starter_is_told_of_it(tmp_path: Path, start: str) -> None:
    said = _imported(tmp_path, start)

    assert "RunError: Module 'of_its_own' starts a task of its own code while it is imported." in said
    assert "failed: TaskFailed" not in said  # of the first task, and there was no second


def test_a_module_may_start_tasks_that_do_not_import_it(tmp_path: Path) -> None:
    assert _imported(tmp_path, "value = runtime.submit(abs, -4).result(30)", "print(value, wait())") == "4 done\n"


def test_a_module_may_make_a_runtime_that_its_tasks_use_later(tmp_path: Path) -> None:
    assert _imported(tmp_path, "", "print(runtime.submit(wait).result(30))") == "done\n"


def test_a_module_may_start_tasks_where_it_is_no_tasks(tmp_path: Path) -> None:
    start = "value = None if current_task() else runtime.submit(work).result(30)"

    assert _imported(tmp_path, start, "print(value)") == "done\n"
