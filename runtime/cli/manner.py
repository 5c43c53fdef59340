"""Manner: how much a command says, and whether in color. Options that every command has set it, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from ..terminal.streams import COLORS, err, out
from .words import Word

__all__ = ["manner", "manner_options"]


@dataclass
class Manner:
    """Manner: see the module.

    Attributes:
        quiet: whether only what was asked for is printed, and errors.
        verbose: whether what happens is told, with times.
    """

    quiet: bool = False
    verbose: bool = False


manner = Manner()
"""Of this process."""


def manner_options() -> list[click.Parameter]:
    """Return the options that every command has; a value that is given sets the manner."""
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_be_quiet,
            help="Say only what was asked for, and errors.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_be_verbose,
            help="Say what happens, with times, on stderr.",
        ),
        click.Option(
            ["--color"],
            type=Word(COLORS, "value"),
            expose_value=False,
            callback=_color,
            help="When there are colors.  [default: auto]",
        ),
    ]


def _be_quiet(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    del ctx, param
    manner.quiet = manner.quiet or bool(value)


def _be_verbose(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    del param
    if value and not (manner.verbose or ctx.resilient_parsing):
        manner.verbose = True
        from .narration import log_with_times  # noqa: PLC0415 - for those who ask for it

        log_with_times()


def _color(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    del ctx, param
    if value is not None:
        out.color = err.color = value
