"""Program `subactors`: the command line, and what comes before it has been imported.

It imports nothing first, so that Ctrl-C in that moment is a quiet end like any other.
"""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]

_INTERRUPTED = 130
"""What shells call a program that Ctrl-C has ended."""


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        from .main import run_command_line  # noqa: PLC0415 - imported where Ctrl-C ends it quietly

        run_command_line()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
