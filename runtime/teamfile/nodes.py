"""Nodes: the content of a team file before it is checked, values with their places, and the list of mistakes in them.

YAML (`yaml`) and Python mappings (here) give the same nodes, so the checks know neither. Nothing here knows what a team
file means.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..errors import Problem

__all__ = [
    "BROKEN",
    "MOST_DEEP",
    "MOST_ENTRIES",
    "MOST_VALUES",
    "Findings",
    "Node",
    "item_path",
    "key_path",
    "nodes_of_mapping",
]

BROKEN: Final = object()
"""Stands for a value that could not be read and has been reported; every check passes over it in silence."""


MOST_VALUES: Final = 20_000
"""Values that a team may have, those in free-form places and repeated ones included: what it takes to check them is
bounded by that. Fifty agents with all that they can have are some thousands."""

MOST_ENTRIES: Final = 1_000
"""Entries of one list or mapping; also the most agents. OpenAI takes no longer list in a schema, either."""

MOST_DEEP: Final = 60
"""Levels, with those of schemas and options."""

_LONGEST_PATH: Final = 300
"""Characters of a path in a message; longer ones are cut, as a file can have long keys at each level."""

_LONGEST_KEY: Final = 80

_MOST_SUGGESTIONS: Final = 20
"""Problems for which a name is looked for that was probably meant, which takes longer than all else."""

_MOST_COMPARISONS: Final = 5_000_000
"""Pairs of characters that are compared for them all, which takes a quarter of a second."""


class Node(msgspec.Struct, frozen=True):
    """A value and where it is.

    Attributes:
        value: None, bool, int, float or str; a list as `tuple[Node, ...]`; a mapping as `dict[Any, Node]`, whose keys
            are whatever the file has; any other object, if a Python mapping holds one; or `BROKEN`.
        line: line of its key, or of the value itself in a list, from 1; 0 where there are no lines.
        position: grows through the file.
    """

    value: Any
    line: int
    position: int

    def plain(self) -> Any:
        """Return the value as plain data; keys become text, and anything but data becomes None."""
        if isinstance(self.value, dict):
            return {str(key): item.plain() for key, item in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value if isinstance(self.value, bool | int | float | str) else None


class Findings:
    """Findings of the checks of one file.

    Args:
        source: the file's name as the user gave it, or `<mapping>`.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._problems: list[tuple[int, Problem]] = []
        self._comparisons = _MOST_COMPARISONS
        self._ignored: list[tuple[int, str]] = []

    def may_suggest(self, comparisons: int) -> bool:
        """Whether there are so few problems that it is worth the time to look for what was meant.

        Args:
            comparisons: how many characters that takes, times how many each is compared with.
        """
        if len(self._problems) >= _MOST_SUGGESTIONS or comparisons > self._comparisons:
            return False
        self._comparisons -= comparisons
        return True

    def add(self, node: Node, path: str, message: str, remedy: str = "") -> None:
        """Note that something is wrong; `path`, `message` and `remedy` as in `Problem`."""
        problem = Problem(source=self.source, line=node.line, path=path, message=message, remedy=remedy)
        self._problems.append((node.position, problem))

    def ignore(self, node: Node, path: str) -> None:
        """Note that a key was accepted and means nothing here."""
        self._ignored.append((node.position, path))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems, in the order of the file; those of one place, in the order they were found.

        What is wrong with an anchored value is said once, at the first path that leads there, however often it is used.
        """
        once: dict[tuple[int, int, str], Problem] = {}
        for position, problem in sorted(self._problems, key=lambda found: found[0]):
            once.setdefault((position, problem.line, problem.message), problem)
        return tuple(once.values())

    @property
    def ignored(self) -> tuple[str, ...]:
        """The paths of the ignored keys, in the order of the file."""
        return tuple(path for _, path in sorted(self._ignored, key=lambda found: found[0]))


def key_path(parent: str, key: object) -> str:
    """Return the path of a key below `parent`: `agents.root`, or `agents["my agent"]` where a dot would mislead."""
    text = key if isinstance(key, str) else repr(key)
    if len(text) > _LONGEST_KEY:
        text = f"{text[:_LONGEST_KEY]}…"
    if len(parent) > _LONGEST_PATH:
        return parent if parent.endswith("…") else f"{parent}…"
    if not re.fullmatch(r"[\w-]+", text):
        return f"{parent}[{json.dumps(text)}]"
    return f"{parent}.{text}" if parent else text


def item_path(parent: str, index: int) -> str:
    """Return the path of an item of the list `parent`."""
    return parent if parent.endswith("…") else f"{parent}[{index}]"


def nodes_of_mapping(value: object, findings: Findings) -> Node:
    """Make nodes of Python data; a container that holds itself, or too much, is reported and cut off there."""
    positions = itertools.count()

    def convert(value: object, path: str, above: frozenset[int]) -> Node:
        position = next(positions)
        if position >= MOST_VALUES:
            node = Node(BROKEN, 0, position)
            if position == MOST_VALUES:
                findings.add(node, path, f"There are more than {MOST_VALUES:,} values.", "Split the team.")
            return node
        if isinstance(value, Mapping | list | tuple) and len(value) > MOST_ENTRIES:
            node = Node(BROKEN, 0, position)
            findings.add(node, path, f"There are more than {MOST_ENTRIES:,} entries.", "Split it.")
            return node
        if not isinstance(value, Mapping | list | tuple):
            return Node(_plain(value), 0, position)
        if id(value) in above:
            node = Node(BROKEN, 0, position)
            findings.add(node, path, "This value holds itself.", "Give a value that ends.")
            return node
        inside = above | {id(value)}
        if isinstance(value, Mapping):
            entries = {_plain(key): convert(item, key_path(path, key), inside) for key, item in value.items()}
            return Node(entries, 0, position)
        items = tuple(convert(item, item_path(path, index), inside) for index, item in enumerate(value))
        return Node(items, 0, position)

    return convert(value, "", frozenset())


def _plain(value: object) -> object:
    """Return text as `str` itself: its subclasses, such as members of an enumeration, do not cross to a process."""
    return str.__str__(value) if isinstance(value, str) else value
