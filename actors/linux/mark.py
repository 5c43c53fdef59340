"""Mark: the variable in the environment of all descendants of a zygote, by which the host finds what it left.

A process that leaves its parent's session and its parents has no tie left to its actor but the environment that it was
started with. `host/sweep` finds such processes.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

__all__ = ["MARK", "SWEEP_LIMIT", "keep_mark", "new_mark"]

MARK: Final = "SUBACTORS_ZYGOTE"

SWEEP_LIMIT: Final = 1.0
"""Seconds that killed processes may take to disappear before they are counted as survivors."""


def new_mark() -> str:
    """Return the variable's value for a new zygote: what nobody can guess, after the marks that this process has.

    A zygote inside an actor of another one so has the marks of both, and ends with the outer one.
    """
    own = os.urandom(16).hex()
    outer = os.environ.get(MARK)
    return f"{outer}:{own}" if outer else own


def keep_mark(environ: MutableMapping[bytes, bytes], inherited: MutableMapping[bytes, bytes]) -> None:
    """Put the inherited mark, if there is one, in an environment that is about to replace the one it is in."""
    name = MARK.encode()
    if name in inherited:
        environ[name] = inherited[name]
