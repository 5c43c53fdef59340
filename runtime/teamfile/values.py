"""Values: reads one value of a team file, typed, and notes a problem at its place if it has the wrong type or range.

Each reader returns the value, or None after it has noted what is wrong, so that a caller can go on to find the next
mistake. Nothing here knows which keys a team file has.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..text import one_line
from .nodes import BROKEN, Findings, Node, item_path, key_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Keys", "Section", "Value", "listed", "quoted"]

_LARGEST = 2**63 - 1
"""Larger numbers cross to no other process and mean nothing in a team file."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = r"(\d+(?:\.\d+)?)(ms|s|m|h)"

_LONGEST_DURATION: Final = 100
"""Characters of a duration that are read."""

_LONGEST_NAME = 100
"""Characters of a name that is looked for among others, or shown."""

_LONGEST_PATH = 4_000

_MOST_NAMES = 60
"""Names that a message lists."""


class Keys(msgspec.Struct, frozen=True):
    """The keys that a mapping of a team file may have.

    Attributes:
        supported: what the loader reads.
        ignored: accepted, without a meaning here.
        refused: known in Docker's agent files and not supported here: key to what the file would lose.
        elsewhere: right in another place: key to where that is.
    """

    supported: frozenset[str]
    ignored: frozenset[str] = frozenset()
    refused: Mapping[str, str] = msgspec.field(default_factory=dict)
    elsewhere: Mapping[str, str] = msgspec.field(default_factory=dict)


class Section(msgspec.Struct, frozen=True):
    """A mapping whose keys have been checked.

    Attributes:
        values: the supported keys that are given, in the order of the file; a key without a value counts as not given.
        misspelt: supported keys for which an unknown key was probably meant.
    """

    values: Mapping[str, Value]
    misspelt: frozenset[str]

    def get(self, key: str) -> Value | None:
        """Return the value of a key, or None if it is not given."""
        return self.values.get(key)

    def text(self, key: str) -> str:
        """Read a text that may be empty; empty if the key is not given, or wrong."""
        given = self.get(key)
        return (given.text(blank=True) if given is not None else None) or ""

    def boolean(self, key: str) -> bool:
        """Read true or false; false if the key is not given, or wrong."""
        given = self.get(key)
        return given is not None and given.boolean() is True

    def whole(self, key: str) -> int:
        """Read a whole number of at least 0; 0 if the key is not given, or wrong."""
        given = self.get(key)
        return (given.whole(least=0) if given is not None else None) or 0

    def means(self, key: str) -> bool:
        """Whether the key is given, or was meant: then its absence is not a mistake of its own."""
        return key in self.values or key in self.misspelt


class Value(msgspec.Struct, frozen=True):
    """A value, its path, and where its problems are noted."""

    node: Node
    path: str
    findings: Findings

    @property
    def given(self) -> bool:
        """Whether there is something: a key without a value in YAML has None, which counts as not given."""
        return self.node.value is not None

    def report(self, message: str, remedy: str = "") -> None:
        """Note that something is wrong with this value."""
        self.findings.add(self.node, self.path, message, remedy)

    def entries(self) -> dict[str, Value] | None:
        """Read a mapping with keys of the author's own; entries under keys that are not text are noted and left out."""
        value = self.node.value
        if not isinstance(value, dict):
            self._expected("a mapping of names to values", value)
            return None
        entries = {}
        for key, node in value.items():
            entry = Value(node, key_path(self.path, key), self.findings)
            if not isinstance(key, str):
                entry.report(f"The key is {_kind(key)}, not text.", "Put it in quotes.")
            elif not key.strip() or not _usable(key):
                entry.report(
                    "The key is empty or holds an invalid character.",
                    "Give it a readable name.",
                )
            else:
                entries[key] = entry
        return entries

    def section(self, keys: Keys) -> Section | None:
        """Read a mapping with known keys; the others are reported, or noted as ignored, and left out."""
        entries = self.entries()
        if entries is None:
            return None
        values: dict[str, Value] = {}
        misspelt: set[str] = set()
        for key, entry in entries.items():
            if key in keys.supported:
                if entry.given:
                    values[key] = entry
            elif key in keys.ignored:
                self.findings.ignore(entry.node, entry.path)
            elif key in keys.refused:
                entry.refuse(f"`{key}`", keys.refused[key])
            elif key in keys.elsewhere:
                entry.report(f"`{key}` means nothing here.", f"It belongs {keys.elsewhere[key]}.")
            else:
                meant = entry.unknown("key", key, keys.supported)
                if meant is not None:
                    misspelt.add(meant)
        return Section(values, frozenset(misspelt))

    def refuse(self, what: str, loss: str) -> None:
        """Note something of Docker's agent files that this version does not support, unless it is off anyway."""
        value = self.node.value
        is_off = value is None or value is False or (isinstance(value, tuple | dict | str) and not value)
        if not is_off:
            known = "is known in Docker's agent files and not supported by this version"
            self.report(f"{what} {known}: the file would lose {loss}.", "Remove it to go without.")

    def unknown(self, what: str, name: str, known: Iterable[str]) -> str | None:
        """Note a name that is not one of those known; returns the one that was probably meant."""
        meant = self.nearest(name, known)
        remedy = f"Did you mean `{meant}`?" if meant is not None else f"Known are: {listed(known)}."
        self.report(f"There is no {what} `{one_line(name, 60)}`.", remedy)
        return meant

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """Return the one of the known names that was probably meant, or None; also if much else is wrong."""
        # Comparing takes as long as both names are long, multiplied.
        comparable = [one for one in known if len(one) <= _LONGEST_NAME]
        if len(name) > _LONGEST_NAME or not self.findings.may_suggest(len(name) * sum(map(len, comparable))):
            return None
        by_folded = {candidate.casefold(): candidate for candidate in comparable}
        found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.7)
        return by_folded[found[0]] if found else None

    def items(self) -> list[Value] | None:
        """Read a list."""
        value = self.node.value
        if not isinstance(value, tuple):
            self._expected("a list", value, "Put it in brackets: [...]." if isinstance(value, str) else "")
            return None
        return [Value(node, item_path(self.path, index), self.findings) for index, node in enumerate(value)]

    def texts(self) -> list[tuple[Value, str]] | None:
        """Read a list of texts, each not blank, together with its place; wrong items are reported and left out."""
        items = self.items()
        return None if items is None else [(item, text) for item in items if (text := item.text()) is not None]

    def text(self, *, blank: bool = False, kind: str = "text", remedy: str = "") -> str | None:
        """Read a text.

        Args:
            blank: whether it may be empty.
            kind: what it must be, in words.
            remedy: what to do where it is no text.
        """
        value = self.node.value
        if not isinstance(value, str):
            # What looks like a number or a truth to YAML may well have been meant as text.
            hint = "Put it in quotes." if isinstance(value, bool | int | float) else ""
            self._expected(kind, value, remedy or hint)
        elif not _usable(value):
            self.report("The text holds an invalid character (U+0000 or half of a surrogate pair).", "Remove it.")
        elif not blank and not value.strip():
            self.report("The text is empty.", "Write something, or leave the key out.")
        else:
            return value
        return None

    def file_name(self) -> str | None:
        """Read the path of a file or folder."""
        text = self.text()
        if text is not None and len(text) > _LONGEST_PATH:
            self.report(f"A path has at most {_LONGEST_PATH:,} characters.", "Give a shorter one.")
            return None
        return text

    def file_names(self) -> tuple[str, ...]:
        """Read a list of paths; wrong ones are reported and left out."""
        return tuple(name for item in self.items() or () if (name := item.file_name()) is not None)

    def boolean(self) -> bool | None:
        """Read true or false."""
        value = self.node.value
        if isinstance(value, bool):
            return value
        self._expected("true or false", value)
        return None

    def whole(self, *, least: int) -> int | None:
        """Read a whole number of at least `least`."""
        value = self.node.value
        # 3.0 is how some programs write 3.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST:
            return int(value)
        self._expected(f"a whole number of at least {least}", value)
        return None

    def number(self, *, least: float = 0.0, most: float = float(_LARGEST), above: bool = False) -> float | None:
        """Read a finite number from `least` to `most`; `above`: `least` itself is too small."""
        value = self.node.value
        # Not-a-number fails every comparison, and so is refused here too.
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and least <= value <= most and not (above and value == least):
            return float(value)
        if most < _LARGEST:
            self._expected(f"a number from {least:g} to {most:g}", value)
        else:
            self._expected(f"a number {'above' if above else 'of at least'} {least:g}", value)
        return None

    def seconds(self, *, above: bool = False) -> float | None:
        """Read a duration: a number of seconds, or text such as `90s` or `1m30s`; `above`: 0 is too small."""
        given = self.node.value
        if not isinstance(given, str):
            return self.number(above=above)
        text = given[:_LONGEST_DURATION].strip() if len(given) <= _LONGEST_DURATION else ""
        if not re.fullmatch(f"(?:{_DURATION})+", text):
            self.report(
                f"{quoted(given)} is not a duration.", "Write a number of seconds, or one with units: 30s, 1m, 1m30s."
            )
            return None
        duration = sum(float(number) * _UNITS[unit] for number, unit in re.findall(_DURATION, text))
        if duration > _LARGEST or (above and duration == 0):
            self._expected("a duration above 0", duration)
            return None
        return duration

    def environment(self) -> dict[str, str]:
        """Read variables and their values; references to other variables in them are expanded when a task starts."""
        variables = {}
        for name, value in (self.entries() or {}).items():
            if "=" in name:
                value.report("The name of an environment variable holds no `=`.", "Write `NAME: value`.")
                continue
            number = value.node.value
            is_number = isinstance(number, int) and not isinstance(number, bool)
            text = str(number) if is_number else value.text(blank=True)
            if text is not None:
                variables[name] = text
        return variables

    def _expected(self, what: str, value: Any, remedy: str = "") -> None:
        if value is not BROKEN:
            self.report(f"This must be {what}, not {_kind(value)}.", remedy)


def listed(names: Iterable[str]) -> str:
    """Return names as a message shows them, in a stable order."""
    shown = sorted(names)
    more = f" and {len(shown) - _MOST_NAMES:,} more" if len(shown) > _MOST_NAMES else ""
    return ", ".join(one_line(name, _LONGEST_NAME) for name in shown[:_MOST_NAMES]) + more


def quoted(text: str) -> str:
    """Return text of the file as a message shows it: in quotes, on one line, of bounded length."""
    return f"'{one_line(text, 60)}'"


def _usable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _kind(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value) if abs(value) < _LARGEST else "a number beyond all bounds"
        case str():
            return "text"
        case tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a value of type {type(value).__name__}"
