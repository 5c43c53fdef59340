"""Checks that correct what they find. An agent with a model, `filesystem` and `shell` can be a fixer, too."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from subactors.runtime import EntrypointTask, TaskFailed

__all__ = ["CHECKS", "fix", "lead"]

CHECKS: Final[dict[str, Callable[[str], str]]] = {
    "spaces at the ends of lines": lambda text: re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE),
    "tabs in Python": lambda text: text.expandtabs(4),
    "no newline at the end": lambda text: text if not text or text.endswith("\n") else f"{text}\n",
}


def lead(task: EntrypointTask) -> str:
    """Run all checks at once, or those that the task names; say what each has left."""
    names = list(CHECKS) if task.text == "all" else [name.strip() for name in task.text.split(",")]
    lines = []
    for name, outcome in zip(names, task.runtime.map("fixer", names, on_error="collect"), strict=True):
        if isinstance(outcome, TaskFailed):
            lines.append(f"{name}: {outcome.reason.partition(chr(10))[0]}")
        elif outcome["files"]:
            lines.append(f"{name}: {outcome['files']} files, on the branch {outcome['branch']}")
        else:
            lines.append(f"{name}: nothing found")
    return "\n".join(lines)


def fix(task: EntrypointTask) -> dict[str, Any]:
    """Run one check over the Python files of this worktree, and commit what it changes."""
    check = CHECKS[task.text]
    changed = 0
    paths = git("ls-files", "*.py").splitlines()
    for number, path in enumerate(paths, 1):
        text = Path(path).read_text()
        if (better := check(text)) != text:
            Path(path).write_text(better)
            changed += 1
            print(path)
        task.progress(number, len(paths), task.text)
    if changed:
        git("commit", "--quiet", "--all", "--message", f"Correct {task.text}")
    return {"files": changed, "branch": git("branch", "--show-current").strip()}


def git(*arguments: str) -> str:
    """Run git here, and return what it says."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout  # noqa: S607 - on PATH
