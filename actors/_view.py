"""The host's view of a moment, which a process that starts in that moment is to have: directory, environment, path."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ._errors import SubactorsError

__all__ = ["current_directory", "encoded", "environment", "module_path"]


def module_path() -> list[bytes]:
    """Return the module search path; an empty entry means the current directory, which a child may leave."""
    return [os.fsencode(entry) or current_directory() for entry in sys.path]


def current_directory() -> bytes:
    """Return the current directory; raises SubactorsError if it has been removed."""
    try:
        return os.getcwdb()  # noqa: PTH109 - as bytes, whatever its name is
    except FileNotFoundError:
        raise SubactorsError(
            "The host's working directory has been removed, so a process cannot start in it. Change to one that exists."
        ) from None


def environment() -> dict[bytes, bytes]:
    """Return the environment."""
    # Its own dictionary where it has one, as in CPython: to go through the mapping is a call for each variable.
    return dict(getattr(os.environb, "_data", os.environb))


def encoded(environ: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return an environment as bytes."""
    return {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
