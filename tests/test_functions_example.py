"""The example of functions: it is run as its first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())


def test_the_example_counts_words_and_goes_on_after_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ants ants bees\n\nants\n")
    (tmp_path / "b.txt").write_text("bees\n" * 2000)

    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/functions/word_counts.py"), "a.txt", "missing.txt", "b.txt", "a.txt"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines() == [
        "a.txt: 4 words, most of all ants, bees",
        "missing.txt: FileNotFoundError: [Errno 2] No such file or directory: 'missing.txt'",
        "b.txt: 2,000 words, most of all bees",
        "a.txt: 4 words, most of all ants, bees",
    ]
