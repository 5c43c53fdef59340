"""Calls of the filesystem tools on real files, for the tests of what they answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.filesystem.toolset import FilesystemToolset


def working_directory(tmp_path: Path) -> Path:
    """The working directory, with something outside beside it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    return inside


def call(folder: Path, name: str, arguments: dict[str, object], **options: Any) -> ToolAnswer:
    box = ToolBox([FilesystemToolset(working_directory=folder, **options)])
    return asyncio.run(box.call(name, json.dumps(arguments)))


def edits(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"oldText": old, "newText": new} for old, new in pairs]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
