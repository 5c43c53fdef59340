"""Counts words in files, each in a process of its own: what breaks one process costs one line of the answer.

In a clone of the repository:

    pip install .
    python examples/functions/word_counts.py README.md docs/*.md
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from subactors.runtime import Limits, Runtime, TaskFailed, current_task

__all__ = ["Count", "count_words"]

LIMITS = Limits(wall_clock=60, memory=500_000_000)


@dataclass
class Count:
    """What there is in a file.

    Attributes:
        words: how many words.
        most: the most frequent ones.
    """

    words: int
    most: list[str]


def count_words(path: str) -> Count:
    """Count the words of a file. Runs in a task's process, and tells how far it has come."""
    lines = Path(path).read_text().splitlines()
    task = current_task()
    counter: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        counter.update(re.findall(r"[^\W\d_]+", line.lower()))
        if task is not None:  # the function can be called without a task, too
            task.progress(number, len(lines), path)
    return Count(counter.total(), [word for word, _ in counter.most_common(3)])


def main(paths: list[str]) -> None:
    """Count all files at the same time, and print a line for each, in their order."""
    with Runtime() as runtime:
        tasks = [runtime.submit(count_words, path, name=path, limits=LIMITS, key=path) for path in paths]
        for task in tasks:
            try:
                count = task.result(type=Count)
                print(f"{task.agent}: {count.words:,} words, most of all {', '.join(count.most)}")
            except TaskFailed as failed:
                print(f"{task.agent}: {failed.reason}")


if __name__ == "__main__":
    main(sys.argv[1:])
