"""What tests ask an interpreter about itself, in the host and in its processes."""

from __future__ import annotations

import sys
from typing import Any

from subactors.actors import ProcessActor

__all__ = ["Interpreter", "interpreter", "put"]


def interpreter() -> dict[str, Any]:
    """Return how this one was started."""
    flags = {name: getattr(sys.flags, name) for name in dir(sys.flags) if not name.startswith(("_", "n_", "count"))}
    flags.pop("dont_write_bytecode")  # a program may have set it, which is below
    return {
        "flags": {name: flag for name, flag in flags.items() if isinstance(flag, int)},
        "warnings": sys.warnoptions,
        "options": dict(sys._xoptions),
        "writes no bytecode": sys.dont_write_bytecode,
    }


def put(queue: Any) -> None:
    """Put that into a queue."""
    found = interpreter()
    queue.put(found)


class Interpreter(ProcessActor):
    """Answers with that."""

    def on_receive(self, message: object) -> dict[str, Any]:
        """Answer."""
        del message
        return interpreter()
