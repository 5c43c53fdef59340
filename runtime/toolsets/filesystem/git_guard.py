"""Git guard: keeps the file tools out of the places that git reads its configuration from.

Whoever can write there has programs started by anybody's next `git status`. Git finds a repository by the name `.git`,
which file systems know under other spellings, too, and by what a folder holds, whatever its name.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from .folders import FOLDER, FileError

if TYPE_CHECKING:
    from .folders import Place

__all__ = ["refuse_git"]

# What HFS+ leaves out of names; git takes care of the same ones.
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_NAMES = {name.casefold(): name for name in ("HEAD", "objects", "refs", "commondir")}


def refuse_git(place: Place) -> None:
    """Raise FileError for a place below a `.git` or in a repository of another name, or that would make one. Blocking.

    Args:
        place: what is to be written, made or removed.
    """
    if any(map(_is_git, (*place.root.parts, *place.parts))):
        raise FileError(_refusal(place, "below a .git"))
    with suppress(OSError):  # a folder is missing, or is a file: the tool itself says what is wrong
        folder = os.open(place.root, FOLDER)
        try:
            for part in place.parts:
                if _is_repository(folder, part):
                    raise FileError(_refusal(place, "in a folder that git takes for a repository"))
                below = os.open(part, FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
        finally:
            os.close(folder)


def _refusal(place: Place, where: str) -> str:
    return (
        f"{place.shown} is {where}, and these tools do not change what git keeps there. "
        "`allow_git: true` in the team file would allow it."
    )


def _is_git(name: str) -> bool:
    """Whether a file system could take a name for `.git`, as some fold case, drop characters or have short names."""
    plain = _UNSEEN.sub("", name).partition(":")[0].rstrip(" .").casefold()
    return plain == ".git" or re.fullmatch(r"git~[0-9]", plain) is not None


def _is_repository(folder: int, name: str) -> bool:
    """Whether git takes a folder for a repository, or would with one more name in it."""
    there = {_NAMES.get(name.casefold(), "")}
    for known in _NAMES.values():
        with suppress(OSError):
            os.stat(known, dir_fd=folder, follow_symlinks=False)
            there.add(known)
    return "HEAD" in there and ("commondir" in there or {"objects", "refs"} <= there)
