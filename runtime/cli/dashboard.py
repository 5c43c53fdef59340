"""Dashboard command: `dashboard`, and the dashboard of one run for `run --dashboard`. Imported when one is called."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..control.finding import find_run
from ..dashboard.server import Dashboard
from ..terminal.streams import err, out
from .manner import manner

__all__ = ["show_dashboard"]

_INTERRUPTED = 130
"""What shells call a program that Ctrl-C has ended."""


def show_dashboard(root: Path, *, port: int, opens: bool, read_only: bool, run: str | None) -> int:
    """Print the address of the dashboard, and serve it until a signal comes; return the exit status.

    Args:
        root: the state folder.
        port: where it listens; 0: a free one.
        opens: whether the user's browser is to open it.
        read_only: whether nothing can be changed there.
        run: a part of the name of the only run that is shown.

    Raises:
        RunError: there is no such run.
        StateError: the port cannot be had, or the state folder not be read.
    """
    only = find_run(root, run).name if run is not None else None
    dashboard = Dashboard(root, port=port, read_only=read_only, only=only)
    out.line(dashboard.address)
    if not manner.quiet:
        err.sentence("Open that address in a browser of this machine. Ctrl-C ends it.")
    with dashboard.opened() if opens else contextlib.nullcontext(True) as has_browser:
        if not has_browser:
            err.sentence("No browser was found here.")
        try:
            dashboard.serve()
        except KeyboardInterrupt:
            return _INTERRUPTED
    return 0
