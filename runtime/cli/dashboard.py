"""Dashboard command: `dashboard`, and the dashboard of one run for `run --dashboard`. Imported when one is called."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..control.finding import find_run
from ..terminal.streams import err, out
from .endings import end_with_input
from .exit_status import INTERRUPTED
from .manner import manner

if TYPE_CHECKING:
    from ..host import Host
    from ..people import Gone, People
    from ..tasks.questions import Question

__all__ = ["dashboard_beside", "show_dashboard"]

_PATIENCE: Final = 5.0
"""Seconds that the dashboard of a run has to end."""


def show_dashboard(
    root: Path, *, port: int, opens: bool, read_only: bool, run: str | None, ends_with_input: bool
) -> int:
    """Print the address of the dashboard, and serve it until a signal, or the end of its input; return the exit status.

    Args:
        root: the state folder.
        port: where it listens; 0: a free one.
        opens: whether the user's browser is to open it.
        read_only: whether nothing can be changed there.
        run: a part of the name of the only run that is shown.
        ends_with_input: whether the end of standard input ends it, too.

    Raises:
        RunError: there is no such run.
        StateError: the port cannot be had, or the state folder not be read.
    """
    from ..dashboard.server import Dashboard  # noqa: PLC0415 - what a run needs of this module is not that

    only = find_run(root, run).name if run is not None else None
    dashboard = Dashboard(root, port=port, read_only=read_only, only=only)
    out.line(dashboard.address)
    if not manner.quiet:
        err.sentence("Open that address in a browser of this machine. Ctrl-C ends it.")
    input_ended = threading.Event()
    heard = functools.partial(end_with_input, input_ended.set) if ends_with_input else None
    no_browser = functools.partial(err.sentence, "No browser was found here.")
    with dashboard.opened(no_browser) if opens else contextlib.nullcontext():
        try:
            dashboard.serve(heard)
        except KeyboardInterrupt:
            return INTERRUPTED
        except SystemExit:
            if not input_ended.is_set():
                raise
    return 0


@contextlib.contextmanager
def dashboard_beside(host: Host) -> Iterator[None]:
    """Have a dashboard of a run in a process of its own, inside of the block; its address is said when it is there.

    For as long as that process lives, there is a person to be asked: whoever looks there.

    Args:
        host: whose run it is.
    """
    run = host.folder.path
    command = [sys.executable, "-m", "subactors.runtime.cli", "dashboard", "--quiet", "--ends-with-input"]
    # A session of its own: Ctrl-C is for the run, which ends it then. Should the run be killed, its input ends.
    with subprocess.Popen(
        [*command, "--run", run.name, "--state-dir", str(run.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        host.people.attach_showing(_leave_to_dashboard)
        saying = threading.Thread(target=_attend, args=(program, host.people), daemon=True)
        saying.start()
        try:
            yield
        finally:
            program.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(_PATIENCE)
            program.kill()
            saying.join()


def _attend(program: subprocess.Popen[str], people: People) -> None:
    """Say the address of a dashboard; once that is gone, whoever looked there is asked no longer."""
    assert program.stdout is not None  # noqa: S101 - it was asked for
    address = program.stdout.readline().strip()
    if address:
        err.line(f"Dashboard: {address}")
    program.stdout.read()
    people.detach_showing(_leave_to_dashboard)


def _leave_to_dashboard(_question: Question, _gone: Gone) -> None:
    """Ask nobody here: the dashboard shows the questions that it finds."""
