"""Program: the folder of the modules of the program that has the places; nodes are sent it as that of a team file."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Final

from ...actors.regular_files import is_folder

__all__ = ["program_folder"]

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
"""Folders of what is installed, wherever they are."""


def program_folder() -> str:
    """Return the folder where this program finds its own modules; empty if it has none to send.

    That is so for `python -c`, notebooks and prompts, which are no file, and for what is installed.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if not isinstance(file, str):
        return ""
    folder = Path(file).resolve().parent
    if not is_folder(folder) or _is_installed(folder):  # the first holds for a program in an archive
        return ""
    # `python -m package.program` finds its modules beside the package.
    for name in reversed((getattr(main, "__package__", None) or "").split(".")):
        if name and folder.name != name:
            return ""  # a package whose folder is mapped: what is beside it are no modules of its
        folder = folder.parent if name else folder
    return str(folder)


def _is_installed(folder: Path) -> bool:
    """Whether what is in a folder was installed: scripts, packages, or Python's own modules."""
    of_user = sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))
    scripts = {Path(each).resolve() for each in (Path(sys.executable).parent, sysconfig.get_path("scripts"), of_user)}
    pythons_own = Path(sysconfig.get_path("stdlib")).resolve()
    return folder in scripts or folder.is_relative_to(pythons_own) or not _INSTALLED.isdisjoint(folder.parts)
