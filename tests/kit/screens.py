"""Screens: what a terminal shows, kept as text in `tests/screens` and compared.

With SUBACTORS_SCREENS=write in the environment a test writes its screen in place of comparing it. Look at the
difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

KEPT = Path(__file__).parents[1] / "screens"

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain(shown: str) -> str:
    """Return what a terminal got without colours and motions of the cursor, and no blanks at the ends of lines."""
    text = SEQUENCE.sub("", shown).replace("\r", "")
    return "\n".join(line.rstrip() for line in text.split("\n"))


def drawn(got: str) -> str:
    """Return what a high terminal shows in the end, as its cursor goes up over what was written, and erases."""
    lines, at, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", got):
        if piece == "\n":
            at += 1
            lines += [""] * (at == len(lines))
        elif piece == "\r":
            column = 0
        elif not piece.startswith("\x1b"):
            lines[at] = f"{lines[at]:{column}}"[:column] + piece + lines[at][column + len(piece) :]
            column += len(piece)
        elif piece.endswith("A"):
            at = max(0, at - int(piece[2:-1] or 1))
        elif piece in {"\x1b[K", "\x1b[2K"}:
            lines[at] = lines[at][: column if piece == "\x1b[K" else 0]
    return "\n".join(line.rstrip() for line in lines)


def is_kept(name: str, screen: str) -> None:
    """Fail if a screen is not the one that is kept under that name."""
    path = KEPT / f"{name}.txt"
    if os.environ.get("SUBACTORS_SCREENS") == "write":
        path.write_text(screen, encoding="utf-8")
    assert screen == path.read_text(encoding="utf-8")
