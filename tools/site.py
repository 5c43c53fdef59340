"""The site: what mkdocs needs beside `docs/` (see `hooks` in mkdocs.yml).

The pages are plain Markdown, and link to files of the repository as they lie there. Here those files join the site,
in the places that they have, and the links are turned to them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

__all__ = ["on_files", "on_page_markdown", "on_startup"]

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = "docs/"

_LINK: Final = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")
_DETAILS: Final = re.compile(r"^<!-- site: ([\w.]+) -->$", re.MULTILINE)
_FENCE: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def _place(target: str) -> str:
    """Return where a file of the repository is in the site; the README of the repository is not its first page."""
    if target == "README.md":
        return "readme.md"
    return target.removeprefix(DOCS)


def _targets(page: str) -> dict[str, str]:
    """Return the links of a page of the repository that lead to files; each to the file, from the root."""
    text = _FENCE.sub("", (ROOT / page).read_text())
    found = {}
    for link in _LINK.findall(text):
        path = (ROOT / page).parent.joinpath(link).resolve()
        if path.is_relative_to(ROOT):
            found[link] = path.relative_to(ROOT).as_posix()
    return found


def _source(place: str) -> str:
    """Return the file of the repository that a page of the site was made of."""
    if place == "readme.md":
        return "README.md"
    return f"{DOCS}{place}" if (ROOT / DOCS / place).is_file() else place


def on_startup(**_: object) -> None:
    """Lay the sources as they are imported, so that docstrings are read from here, whatever is installed."""
    packages = ROOT / "build" / "api" / "subactors"
    packages.mkdir(parents=True, exist_ok=True)
    for name in ("actors", "runtime"):
        link = packages / name
        if not link.is_symlink():
            link.symlink_to(ROOT / name)


def on_files(files: Files, /, *, config: MkDocsConfig) -> Files:
    """Let every file that a page links to be part of the site, and what that links to in turn."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - only mkdocs has it

    waiting = [f"{DOCS}{file.src_uri}" for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        for target in _targets(waiting.pop()).values():
            path = ROOT / target
            if target in seen or not path.is_file():
                continue
            seen.add(target)
            if not target.startswith(DOCS):
                files.append(File.generated(config, _place(target), abs_src_path=str(path)))
            if path.suffix == ".md":
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to where their files are in the site, and show docstrings where a comment asks for them."""
    del config, files
    place = page.file.src_uri
    ups = "../" * place.count("/")
    targets = _targets(_source(place))

    def turned(match: re.Match[str]) -> str:
        target = targets.get(match[1])
        return match[1] if target is None or not (ROOT / target).is_file() else f"{ups}{_place(target)}"

    markdown = _DETAILS.sub(r"::: \1", markdown)
    # What is in a fence stays as it is.
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else _LINK.sub(turned, part) for part in parts)
