"""Journals of runs, as tests look at them while their hosts live."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from subactors.runtime import Runtime

__all__ = ["asked_of_journal", "conversation_in", "journal"]


def journal(runtime: Runtime) -> Path:
    """The journal of the run."""
    return runtime._host.folder.journal


def asked_of_journal(runtime: Runtime, query: str, *parameters: str) -> list[list[Any]]:
    """Rows of the journal, read by another process: within this one SQLite may keep a closed file open for later."""
    code = "import json, sqlite3, sys; path, query, *more = sys.argv[1:]\n"
    code += "print(json.dumps(sqlite3.connect(path).execute(query, more).fetchall()))"
    command = [sys.executable, "-c", code, str(journal(runtime)), query, *parameters]
    rows: list[list[Any]] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return rows


def conversation_in(runtime: Runtime, task_id: str) -> list[dict[str, Any]]:
    """The messages that the journal has of a task's conversation."""
    rows = asked_of_journal(runtime, "SELECT body FROM message WHERE task = ? ORDER BY number", task_id)
    return [json.loads(body) for (body,) in rows]
