"""Entrypoints that put something else in the place of the host's files. Imported by tasks."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from subactors.runtime import EntrypointTask


def _log() -> Path:
    return Path("/proc/self/fd/1").readlink()


def _run() -> Path:
    return _log().parents[1]


def replaces_its_log(task: EntrypointTask) -> None:
    """Put something in the place of the task's own log, and die: the host looks there for the last words."""
    path = _log()
    path.unlink()
    match task.text:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("/dev/zero")
    os._exit(3)


def plants_its_next_piece(task: EntrypointTask) -> str:
    """Put something where the host will begin the second piece of this task's output; then say enough for it."""
    kind, _, head = task.text.partition(" ")
    path = _run() / "output" / f"{task.id}.{head}.out"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(_run().parent / "elsewhere")
        case "file":
            path.write_text("planted")
    task.emit("a" * int(head))
    task.emit("b" * 100)
    return "said"


def _replace(path: Path, kind: str) -> str:
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return "replaced"


def replaces_its_first_piece(task: EntrypointTask) -> str:
    """Put something in the place of what this task has said."""
    task.emit("x" * 5000)
    path = _run() / "output" / f"{task.id}.0.out"
    while not path.exists() or path.stat().st_size < 5000:
        pass
    return _replace(path, task.text)


def replaces_the_lock(task: EntrypointTask) -> str:
    """Put something in the place of the lock of the run."""
    path = _run() / "lock"
    return _replace(path, task.text)


def locks_the_journal(task: EntrypointTask) -> str:
    """Hold a lock on the journal until told to stop: SQLite's own, or all of those that it has on its index."""
    path = _run() / "journal.sqlite"
    if task.text == "transaction":
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
    else:
        index = os.open(f"{path}-shm", os.O_RDWR)
        fcntl.lockf(index, fcntl.LOCK_EX, 8, 120)  # all of SQLite's but the one that each connection shares
    task.emit("locked")
    task.wait_for_stop(600)
    return "held"


def damages_the_journal(task: EntrypointTask) -> str:
    """Do something to the files of the journal."""
    path = _run() / "journal.sqlite"
    match task.text:
        case "garbled":
            with path.open("r+b") as file:
                file.write(os.urandom(40_000))
            os.truncate(f"{path}-wal", 0)
        case "index cut":
            os.truncate(f"{path}-shm", 0)
        case "log cut":
            os.truncate(f"{path}-wal", 0)
        case "deleted":
            for end in ("", "-wal", "-shm"):
                Path(f"{path}{end}").unlink()
        case "fifo":
            path.unlink()
            os.mkfifo(path, 0o400)
        case "folder deleted":
            shutil.rmtree(_run())
        case "trigger":
            connection = sqlite3.connect(path, isolation_level=None)
            forever = "WITH RECURSIVE f(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM f) SELECT count(*), 1 FROM f"
            connection.execute(f"CREATE TRIGGER t AFTER UPDATE ON task BEGIN INSERT INTO run {forever}; END")
            connection.close()
    return "done"


def echoes(task: EntrypointTask) -> Any:
    """Say the text and return it."""
    task.emit(task.text)
    return task.text
