"""Command line: `subactors` finds the command that the arguments name, and says what was wrong.

Commands and their arguments are in `…_commands`. Exit status: 0, 1 (something failed), 2 (wrong usage or a wrong team
file), 128 and the signal's number (interrupted).
"""

from __future__ import annotations

import os
import sys
import threading
from typing import NoReturn

import click

from ..errors import SubactorsError, TeamFileError
from ..terminal.streams import OutputLostError, err, exit_status, take_over, warn
from .bench import bench
from .completion import COMPLETE_VARIABLE, answer_shell
from .exit_status import INTERRUPTED
from .help import Commands, usage_message
from .init import init
from .look_commands import dashboard, logs, ps, runs, timeline, top, view, wait
from .place_commands import drain, nodes
from .set_up_commands import check, completion, doctor, prune, schema
from .talk_commands import answer, stop, tell
from .work_commands import demo, dispatch, mcp, resume, run

__all__ = ["cli", "run_command_line"]

_USAGE = 2
_FAILED = 1
_SECTIONS = {
    "Work": (run, dispatch, resume, demo, bench, mcp),
    "Look": (ps, view, logs, wait, runs, nodes, timeline, dashboard, top),
    "Talk and stop": (tell, answer, stop, drain),
    "Set up": (init, check, doctor, prune, schema, completion),
}


@click.group(
    cls=Commands,
    sections=_SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="subactors")
def cli() -> None:
    """Run teams of LLM agents whose background tasks are supervised processes of their own."""


def run_command_line() -> NoReturn:
    """Run the command line and exit; the `subactors` command."""
    take_over()
    try:
        status = _run_command()
    except OutputLostError:
        status = _FAILED
    status = exit_status(status)
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        # A `python/…` model that hangs in a worker thread must not keep the command from ending.
        os._exit(status)
    sys.exit(status)


def _run_command() -> int:
    """Run the command that the arguments name, say what was wrong, and return the exit status."""
    asked = os.environ.get(COMPLETE_VARIABLE)
    if asked:
        answer_shell(asked, cli)
        return 0
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        err.line(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        usage = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            usage = f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help.\n\n"
        err.sentence(f"{usage}Error: {usage_message(error)}")
        return error.exit_code
    except TeamFileError as error:
        err.sentence(str(error))
        return _USAGE
    except SubactorsError as error:
        warn(str(error))
        return _FAILED
    return status if isinstance(status, int) else 0
