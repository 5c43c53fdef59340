"""Locale names: in which encoding a terminal shows text, by the locale that its user has named.

Python does not tell. Where the locale is `C` it takes UTF-8 all the same, and puts another name into the environment.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["encoding_of", "environment_at_the_start"]

_NAMES: Final = ("LC_ALL", "LC_CTYPE", "LANG")
"""Variables that name the locale of characters; the first that is set counts."""


def encoding_of(environ: Mapping[str, str]) -> str | None:
    """Return the encoding of the locale that an environment names; None if it names none, or nobody knows which.

    Who has set an encoding for Python itself has set that.
    """
    if environ.get("PYTHONIOENCODING") or environ.get("PYTHONUTF8") == "1":
        return None
    name = next(filter(None, map(environ.get, _NAMES)), "")
    if name in {"C", "POSIX"}:
        return "ascii"
    try:
        return codecs.lookup(name.partition("@")[0].partition(".")[2]).name
    except LookupError:
        return None


def environment_at_the_start() -> dict[str, str]:
    """Return the environment as this program was given it; empty if the system does not tell."""
    try:
        entries = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (entry.decode("utf-8", "replace").partition("=") for entry in entries)
    return {name: value for name, _, value in pairs}
