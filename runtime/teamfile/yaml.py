"""YAML: turns text into located nodes, of a bounded number.

Scalars are read by the rules of YAML 1.2, as other readers of such files do, not by PyYAML's own of YAML 1.1, where
`no`, `on`, `12:30` and `2024-05-01` are not text. Nothing here constructs objects or knows what a team file means.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml
from yaml.reader import Reader

from .nodes import BROKEN, MOST_DEEP, MOST_ENTRIES, MOST_VALUES, Findings, Node, item_path, key_path

__all__ = ["nodes_of_yaml"]

_PREFIX = "tag:yaml.org,2002:"
_TOP = Node(None, 1, 0)
_CHARACTERS = 1_000
"""Characters of a text that count like a value."""

_TOO_DEEP = ("The values are nested too deeply.", "A team file needs no more than six levels.")
_SYNTAX_REMEDY = "Look at the indentation, colons and quotes around this line."


# The parser in C takes a twentieth of the time; some installations of PyYAML lack it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_LONGEST_NUMBER = 100
"""Digits of one that is not decimal: to write a long one as a decimal takes for ever."""


class _Loader(_Base):  # type: ignore[misc] # one of two
    """PyYAML's parser with the scalars of YAML 1.2, and underscores between digits."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute


# The first matching rule wins: an int is also a float.
_Loader.add_implicit_resolver(f"{_PREFIX}merge", re.compile(r"<<$"), ["<"])
_Loader.add_implicit_resolver(f"{_PREFIX}null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(f"{_PREFIX}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(
    f"{_PREFIX}int", re.compile(r"(?:[-+]?[0-9]+(?:_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    f"{_PREFIX}float",
    re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def nodes_of_yaml(text: str, findings: Findings) -> Node | None:
    """Parse a document.

    Returns:
        Its top node, or None after a syntax error, for an empty document or one that holds too much, which are then in
        `findings`.
    """
    strange = Reader.NON_PRINTABLE.search(text)
    if strange is not None:
        line = text.count("\n", 0, strange.start()) + 1
        findings.add(Node(None, line, 0), "", f"The character U+{ord(strange[0]):04X} may not occur.", "Remove it.")
        return None
    try:
        if _has_too_much(text, findings):
            return None
        top = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        if "nesting depth" in (error.problem or ""):  # the parser in C has a limit of its own
            findings.add(Node(None, line, 0), "", *_TOO_DEEP)
            return None
        detail = error.problem or error.context or "syntax error"
        findings.add(Node(None, line, 0), "", f"This is not valid YAML: {detail}.", _SYNTAX_REMEDY)
        return None
    except (ValueError, OverflowError) as error:
        # PyYAML lets these through, without a place, for an escape beyond Unicode and the like.
        findings.add(_TOP, "", f"This is not valid YAML: {error}.", "Look at the escapes and directives in the file.")
        return None
    if top is None:
        findings.add(_TOP, "", "The file is empty.", "Give it at least `agents` with one agent.")
        return None
    return _Builder(findings).build(top, "")


def _has_too_much(text: str, findings: Findings) -> bool:
    """Note and tell whether a document holds more than a team file may: before anything is built of it.

    An alias counts for all that it repeats, as whatever reads the document later goes through it again.
    """
    sizes: dict[str, int] = {}  # of what has an anchor, by its name
    opened: list[
        tuple[str | None, int, int]
    ] = []  # what is not closed: its anchor, where it began, entries it may have
    total = entries = 0
    room = MOST_ENTRIES
    for event in yaml.parse(text, Loader=_Loader):
        before = total
        match event:
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                total, entries = total + 1, entries + 1
                opened.append((event.anchor, before, room - entries))
                room, entries = MOST_ENTRIES * (1 + isinstance(event, yaml.MappingStartEvent)), 0
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                anchor, start, room = opened.pop()
                entries = 0
                sizes[anchor or ""] = total - start
            case yaml.ScalarEvent():
                total, entries = total + 1 + len(event.value) // _CHARACTERS, entries + 1
                sizes[event.anchor or ""] = total - before
            case yaml.AliasEvent():
                total, entries = total + sizes.get(event.anchor or "", 1), entries + 1
            case _:
                pass  # the document's own
        fault = _fault(total, entries > room, len(opened))
        if fault:
            findings.add(Node(None, event.start_mark.line + 1 if event.start_mark else 0, 0), "", *fault)
            return True
    return False


def _fault(values: int, is_long: bool, depth: int) -> tuple[str, str] | None:
    if values > MOST_VALUES:
        return (
            f"With this line the file has more than {MOST_VALUES:,} values, those that aliases repeat included.",
            "Split the team.",
        )
    if is_long:
        return f"The list or mapping that is here has more than {MOST_ENTRIES:,} entries.", "Split it."
    if depth > MOST_DEEP:
        return _TOO_DEEP
    return None


class _Builder:
    """Turns PyYAML's nodes of one document into ours; an anchored node is turned once, however often it is used."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._built: dict[yaml.Node, Node] = {}
        self._open: set[yaml.Node] = set()

    def build(self, node: yaml.Node, path: str) -> Node:
        if node in self._built:
            return self._built[node]
        place = _place(node)
        if node in self._open:
            self._findings.add(
                place, path, "This alias stands inside the value that it repeats.", "Give a value that ends."
            )
            return msgspec.structs.replace(place, value=BROKEN)
        self._open.add(node)
        built = msgspec.structs.replace(place, value=self._value(node, place, path))
        self._open.discard(node)
        self._built[node] = built
        return built

    def _value(self, node: yaml.Node, place: Node, path: str) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_PREFIX}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
            return tuple(self.build(item, item_path(path, index)) for index, item in enumerate(node.value))
        try:
            return _scalar(node)
        except ValueError:
            tag = node.tag.replace(_PREFIX, "!!")
            self._findings.add(
                place, path, f"This value cannot be read as {tag}.", "Write a plain value without a tag."
            )
            return BROKEN

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[Any, Node]:
        entries: dict[Any, Node] = {}
        merged: list[dict[Any, Node]] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_PREFIX}merge":
                merged.extend(self._merged(value_node, path))
                continue
            key_place = _place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._findings.add(key_place, path, "A key here is a list or a mapping.", "Write keys as plain text.")
                continue
            key = self.build(key_node, path).value
            value = self.build(value_node, key_path(path, key))
            if key in entries:
                first = entries[key].line
                self._findings.add(
                    key_place,
                    key_path(path, key),
                    f"This key is already given in line {first}.",
                    "Keep one of the two.",
                )
                continue
            entries[key] = msgspec.structs.replace(value, line=key_place.line, position=key_place.position)
        for inherited in merged:
            for key, value in inherited.items():
                entries.setdefault(key, value)
        return entries

    def _merged(self, node: yaml.Node, path: str) -> list[dict[Any, Node]]:
        """Return what a merge key `<<` brings in: one mapping, or those of a list, the first of which wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values = [self.build(source, path).value for source in sources]
        if not all(isinstance(value, dict) or value is BROKEN for value in values):
            message = "The merge key `<<` is followed by something other than a mapping."
            self._findings.add(_place(node), path, message, "Name an anchor of a mapping, or a list of such anchors.")
        return [value for value in values if isinstance(value, dict)]


def _place(node: yaml.Node) -> Node:
    return Node(None, node.start_mark.line + 1, node.start_mark.index)


def _scalar(node: yaml.Node) -> bool | int | float | str | None:
    """Return the value of a scalar; raises ValueError if its tag is unknown, or its text is not what the tag says."""
    text = node.value
    if not isinstance(text, str):
        raise ValueError(node.tag)  # noqa: TRY004 - a list or mapping with a tag of its own, one error for the caller
    match node.tag.removeprefix(_PREFIX):
        case "str" | "merge":
            return text
        case "null":
            return None
        case "bool" if text.lower() in ("true", "false"):
            return text.lower() == "true"
        case "int" if text.startswith(("0x", "0o")) and len(text) <= _LONGEST_NUMBER:
            return int(text[2:], 16 if text[1] == "x" else 8)
        case "int":  # what is left of the others fails here
            return int(text)  # more digits than Python converts are a ValueError too
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        case _:
            raise ValueError(node.tag)
