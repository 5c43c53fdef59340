"""Git repositories that tests make, and git as they call it."""

from __future__ import annotations

import subprocess
from pathlib import Path

IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and return what it printed."""
    command = ["git", "-C", str(folder), *IDENTITY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def new_repository(folder: Path, file: str) -> Path:
    """Make a repository with one commit of one file, and return its folder."""
    path = folder / file
    path.parent.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    path.write_text("first\n")
    (folder / ".gitignore").write_text("*.o\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "First")
    return folder
