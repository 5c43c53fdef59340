"""Words: parameters that are one of a few words, and the nearest right word for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click

__all__ = ["Word", "nearest", "none_such"]

_LIKENESS: Final = 0.5
"""How like a word the meant one is at least, from 0 to 1."""


def nearest(word: str, words: Iterable[str], others: Mapping[str, str] | None = None) -> str:
    """Return a question that names the right word nearest to a wrong one; empty if none is near.

    Args:
        word: the wrong one.
        words: the right ones.
        others: what other programs call the same, each with the right word.
    """
    meant = {known.casefold(): known for known in words} | dict(others or {})
    asked = word.casefold()
    near = [name for name in meant if sorted(name) == sorted(asked)]  # letters that have changed places, or none
    near = near or difflib.get_close_matches(asked, meant, n=1, cutoff=_LIKENESS)
    near = near or [name for name in meant if asked and name.startswith(asked)]
    return f" Did you mean {meant[near[0]]!r}?" if near else ""


class Word(click.Choice[str]):
    """One of a few words.

    Args:
        words: which.
        kind: what they are, such as "status".
    """

    def __init__(self, words: Sequence[str], kind: str) -> None:
        super().__init__(words)
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word; raises click.BadParameter, with the nearest one, for another."""
        if value not in self.choices:
            self.fail(none_such(self._kind, str(value), self.choices), param, ctx)
        return str(value)


def none_such(kind: str, word: str, words: Sequence[str]) -> str:
    """Return sentences on a word that is not one of a few: which are, and the nearest of them."""
    return f"There is no {kind} {word!r}.{nearest(word, words)} One of: {', '.join(words)}."
