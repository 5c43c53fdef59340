"""One thing that is wrong, or worth knowing, in a team file."""

from __future__ import annotations

import msgspec

__all__ = ["Problem"]


class Problem(msgspec.Struct, frozen=True, kw_only=True, order=False):
    """A place in a team file and what is wrong there.

    Attributes:
        source: the file's name as the user gave it, or `<mapping>`.
        line: the line in the file, from 1; 0 where there is none (a mapping has no lines).
        path: the key's path, such as `agents.root.toolsets[0].type`; empty for the file as a whole.
        message: what is wrong.
        remedy: what would be right; empty where the message says it already.
    """

    source: str
    line: int
    path: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return `file:line: path: message. remedy`, as compilers print it."""
        place = f"{self.source}:{self.line}" if self.line else self.source
        path = f"{self.path}: " if self.path else ""
        tail = f" {self.remedy}" if self.remedy else ""
        return f"{place}: {path}{self.message}{tail}"
