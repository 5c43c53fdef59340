"""Telemetry of commands: what `--otel-file` and `OTEL_…` variables ask for."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..telemetry.wanted import set_up_sdk

if TYPE_CHECKING:
    from ..telemetry.telemetry import Telemetry

__all__ = ["telemetry_of"]


def telemetry_of(options: dict[str, Any]) -> Telemetry | None:
    """Take `otel_file` out of a command's options; return what writes to it, or set up what the environment asks for.

    Raises:
        SubactorsError: what the environment asks for is not installed.
        click.UsageError: the file cannot be written, or the API of OpenTelemetry is not installed.
    """
    path: Path | None = options.pop("otel_file", None)
    if path is None:
        set_up_sdk(os.environ)
        return None
    if str(path) == "-":
        raise click.UsageError("--otel-file wants the name of a file: spans cannot go to standard output.")
    try:
        from ..telemetry.file import telemetry_to_file  # noqa: PLC0415 - few commands are asked for it

        return telemetry_to_file(path)
    except ImportError as error:
        raise click.UsageError(f"--otel-file needs {error.name}: pip install 'subactors[otel]'.") from None
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror or error
        raise click.UsageError(f"--otel-file {path} cannot be written: {why}.") from None
