"""The model of the agent `sizes`: what the working directory consists of, in files, lines and bytes by language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .folder import File, walk
from .reading import language_of, text_of
from .script import Steps, scripted
from .words import code, count, named, paragraphs, size, table

__all__ = ["model"]

_LARGEST: Final = 20_000_000


def _survey(_prompt: str) -> Steps[str]:
    counted: dict[str, int] = {}

    def count_lines(files: Sequence[File]) -> str:
        paths = (file.path for file in files if language_of(file.path))
        counted.update((path, lines) for path in paths if (lines := _lines(path)) is not None)
        return f", with {sum(counted.values()):,} lines of text"

    folder = yield from walk(count_lines)
    left_out = folder.left_out()
    if not folder.files:
        return paragraphs("There are no files here.", "\n".join(left_out))
    if uncounted := [file.path for file in folder.files if language_of(file.path) and file.path not in counted]:
        left_out.append(f"Lines not counted, as not text or larger than {size(_LARGEST)}: {named(uncounted, 3)}.")
    summary = f"{folder.summary()}, {size(sum(file.size for file in folder.files))}"
    return paragraphs(*_answer(summary, folder.files, counted), "\n".join(left_out))


def _lines(path: str) -> int | None:
    """Return how many lines a file has; None if it is not text, too large, or cannot be opened."""
    data = text_of(path, _LARGEST)
    return None if data is None else data.count(b"\n") + (data[-1:] not in {b"", b"\n"})


def _answer(summary: str, files: Sequence[File], counted: Mapping[str, int]) -> list[str]:
    by_language: dict[str, list[File]] = {}
    for file in files:
        by_language.setdefault(language_of(file.path) or "other", []).append(file)
    lines = {language: sum(counted.get(f.path, 0) for f in group) for language, group in by_language.items()}
    bytes_ = {language: sum(f.size for f in group) for language, group in by_language.items()}
    rows = [
        [language, f"{len(group):,}", f"{lines[language]:,}" if any(f.path in counted for f in group) else "-", size(b)]
        for language, b in sorted(bytes_.items(), key=lambda item: (-lines[item[0]], -item[1]))
        for group in [by_language[language]]
    ]
    parts = [table(["language", "files", "lines", "size"], rows, numbers=(1, 2, 3))]
    if in_all := sum(lines.values()):
        language = max(lines, key=lambda name: lines[name])
        summary += f": {count(in_all, 'line')} of text, {_share(lines[language], in_all)} of them {language}"
        longest = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:5]
        entries = [[code(path, 80), f"{number:,}"] for path, number in longest if number]
        parts.append(table(["longest files", "lines"], entries, numbers=(1,)))
    return [f"{summary}.", *parts]


def _share(part: int, whole: int) -> str:
    """Return a share in percent: 100 % is all of it, and nothing less."""
    return "all" if part == whole else f"{min(99, round(100 * part / whole))} %"


model = scripted(_survey)
