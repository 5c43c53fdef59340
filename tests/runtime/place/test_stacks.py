"""Stacks: what is shown of those that a task's process has written."""

from __future__ import annotations

from pathlib import Path

from subactors.runtime.place import closely
from subactors.runtime.place.closely import main_stack


def test_the_main_thread_is_found_among_others_and_in_noise() -> None:
    dump = (
        'noise\nThread 0x01 (most recent call first):\n  File "b.py", line 1 in other\n\n'
        'Current thread 0x02 (most recent call first):\n  File "a.py", line 2 in inner\n'
        '  File "a.py", line 3 in outer\n'
        "noise\n"
    )

    assert main_stack(dump) == 'File "a.py", line 2 in inner\nFile "a.py", line 3 in outer'
    assert main_stack("Thread 0x01 (most recent call first):\n") == ""
    assert main_stack("") == ""


def test_the_stack_of_work_that_is_in_this_package_is_kept_as_far_as_the_work() -> None:
    package = Path(closely.__file__).parents[2]
    frames = [
        f'File "{place}", line {number} in f'
        for number, place in enumerate(
            ["threading.py", package / "actors/child/outbox.py", package / "runtime/child/entrypoint.py", "work.py"]
        )
    ]
    above = [f'File "{package}/{place}", line 9 in g' for place in ("runtime/child/work.py", "actors/child/life.py")]
    dump = "".join(f"  {frame}\n" for frame in [*frames, *above])

    assert main_stack(f"Current thread 0x01 (most recent call first):\n{dump}") == "\n".join(frames)
