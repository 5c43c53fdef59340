"""Refused: what pickles, but would be something else in another process, where nobody would notice.

Queues and locks refuse by themselves. Ends of pipes do not: they pickle as the bare number of their descriptor, which
is another's there. Nor do open text files: what pickles by value reads them to their ends, and makes copies.
"""

from __future__ import annotations

import io
import sys
from typing import Any

__all__ = ["refuse_what_would_change"]

_CONNECTIONS = "multiprocessing.connection"


def refuse_what_would_change(value: Any, *, shares: bool = False) -> None:
    """Raise TypeError for an end of a pipe, and for an open file but standard output and error.

    Args:
        value: what is to be pickled.
        shares: whether descriptors travel, too: so do ends of pipes then.
    """
    if isinstance(value, io.TextIOWrapper) and value is not sys.stdout and value is not sys.stderr:
        raise TypeError(
            f"cannot pickle an open file ({_named(value)}): in another process it would be another file. "
            "Give its path, and open it there."
        )
    connections = None if shares else sys.modules.get(_CONNECTIONS)
    if connections is not None and isinstance(value, getattr(connections, "Connection", ())):
        raise TypeError(
            "cannot pickle an end of a pipe: its descriptor does not travel with a message. "
            "Give it to the process when that is started, or send it over another connection."
        )


def _named(file: io.TextIOWrapper) -> str:
    try:
        return repr(file.name)
    except Exception:  # noqa: BLE001 - it may be over anything
        return "of no name"
