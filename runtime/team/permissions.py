"""Permissions: which tool calls a team file lets through, as patterns of tools and of their arguments.

A pattern is `tool`, or `tool:argument=glob`, with more of `:argument=glob` that must match too. `*` and `?` stand for
any characters and any one; upper and lower case are the same. A call that a person should be asked about is refused
like a denied one where nobody can be asked. Patterns are a guard against mistakes, not a sandbox: a shell has
many ways to say a thing.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Permissions", "argument_patterns", "tool_pattern", "unasked"]

_NEXT_ARGUMENT = re.compile(r":(?=[A-Za-z_][\w-]*=)")


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """The lists of `permissions`; `deny` wins over `allow`, and `allow` over `ask`. What is in none is allowed.

    Attributes:
        allow: calls that need nobody's word although `ask` names them.
        ask: calls that somebody should be asked about.
        deny: calls that must not be made.
    """

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def denies_tool(self, tool: str) -> bool:
        """Whether every call of a tool is denied, so that a model need not see it."""
        return any(":" not in pattern and _fits(tool, pattern) for pattern in self.deny)

    def denial(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return why a call is denied, for the model; empty if it is not. It may have to be asked about; see below."""
        denying = _first(self.deny, tool, arguments)
        if denying is not None:
            what = f"This call of {tool!r}" if ":" in denying else f"Tool {tool!r}"
            return f"{what} is denied by the team file's permissions (`{denying}`). Do without it."
        return ""

    def refusal(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return why a call must not be made where nobody can be asked; empty if it may be."""
        asking = self.asked_by(tool, arguments)
        return self.denial(tool, arguments) or (unasked(tool, asking) if asking is not None else "")

    def asked_by(self, tool: str, arguments: Mapping[str, Any]) -> str | None:
        """Return the pattern by which somebody is to be asked about a call that is not denied; None if nobody is."""
        asking = _first(self.ask, tool, arguments)
        return None if asking is None or _first(self.allow, tool, arguments, every=True) is not None else asking


def unasked(tool: str, pattern: str) -> str:
    """Return why a call must not be made that nobody can be asked about, for the model."""
    return (
        f"This call of {tool!r} needs somebody's approval by the team file's permissions (ask: `{pattern}`), and "
        "nobody can be asked here. Do without it, and say in your answer what was left undone."
    )


def tool_pattern(pattern: str) -> str:
    """Return the part of a pattern that is for the tool's name."""
    return pattern.partition(":")[0]


def argument_patterns(pattern: str) -> dict[str, str]:
    """Return the parts of a pattern that are for arguments: name to glob.

    Raises:
        ValueError: one of them has no `=`, or an argument is named twice.
    """
    _, separator, rest = pattern.partition(":")
    if not separator:
        return {}
    parts = [part.partition("=") for part in _NEXT_ARGUMENT.split(rest)]
    if not all(name and equals for name, equals, _ in parts) or len({name for name, _, _ in parts}) < len(parts):
        raise ValueError(pattern)
    return {name: glob for name, _, glob in parts}


def _first(patterns: tuple[str, ...], tool: str, arguments: Mapping[str, Any], *, every: bool = False) -> str | None:
    """Return the first pattern that a call matches; `every`: of a list of values all must match, not any."""
    for pattern in patterns:
        if _fits(tool, tool_pattern(pattern)) and all(
            name in arguments and _value_fits(arguments[name], glob, every=every)
            for name, glob in argument_patterns(pattern).items()
        ):
            return pattern
    return None


def _value_fits(value: Any, glob: str, *, every: bool) -> bool:
    if isinstance(value, list | tuple):
        fitting = [_value_fits(item, glob, every=every) for item in value]
        return bool(fitting) and all(fitting) if every else any(fitting)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _fits(text, glob)


def _fits(text: str, glob: str) -> bool:
    return fnmatch.fnmatchcase(text.lower(), glob.lower())
