"""Top command: `top`. Imported when it is called, because Textual is an extra, and takes half a second to import."""

from __future__ import annotations

import os
from pathlib import Path

from ..control.finding import find_run
from ..terminal.streams import out, warn

__all__ = ["show_top"]

_FAILED = 1
_USAGE = 2


def show_top(root: Path, *, run: str | None, past: bool, read_only: bool) -> int:
    """Show all runs on the terminal until somebody leaves; return the exit status.

    Args:
        root: the state folder.
        run: a part of the name of the only run that is shown.
        past: whether runs are shown, too, that are over.
        read_only: whether nothing can be changed there.

    Raises:
        RunError: there is no such run.
        StateError: the state folder cannot be read.
    """
    if not (out.is_terminal and os.isatty(0)) or os.environ.get("TERM", "dumb") == "dumb":
        warn("`subactors top` needs a terminal. `subactors ps --watch` prints changes to a pipe.")
        return _USAGE
    only = find_run(root, run).name if run is not None else None
    try:
        from ..top.app import Top  # noqa: PLC0415 - it needs Textual
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        warn(f"`subactors top` needs Textual ({error}). Install it: pip install 'subactors[top]'")
        return _FAILED
    if not out.is_colored:
        os.environ["NO_COLOR"] = "1"  # which is how Textual is told
    app = Top(root, only=only, past=past, read_only=read_only)
    app.run()
    return app.return_code or 0
