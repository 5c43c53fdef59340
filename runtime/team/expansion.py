"""Expansion: replaces `${env.NAME}` in values of a team file when a task starts.

It decides what such a reference may look like, and says which variable is not set. It never shows a value.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from ..text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

__all__ = ["expand", "expand_all", "expand_variable", "referenced", "references_in", "template_fault"]

_TEMPLATE = re.compile(r"\$\{(?P<inside>env\.[^}]*)\}")
_SHELL_LIKE = re.compile(r"\$(?:\{(?P<inside>[^}]*)\}|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<dollar>\$))")
_WITHOUT_BRACES = re.compile(r"\$(?:(?P<inside>(?!))|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<dollar>\$))")
_INSIDE = re.compile(r"""(?:env\.)?([A-Za-z_][A-Za-z0-9_]*)(?:\s*\|\|\s*(?:'([^']*)'|"([^"]*)"))?\s*""")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with `${env.NAME}` and `${env.NAME || 'default'}` replaced; any other `$` is left as it is.

    As in Docker's agent files, a default also stands in for a variable that is empty.

    Raises:
        ValueError: a variable is not set and has no default, or a reference is not understood; says which.
    """
    closed, rest = _parted(text)
    return _TEMPLATE.sub(lambda match: _value(match[0], match["inside"], environ), closed) + rest


def expand_variable(text: str, environ: Mapping[str, str]) -> str:
    """Return a variable's value with its references replaced; here `${NAME}` and `$NAME` are some, too, `$$` is `$`.

    Raises:
        ValueError: as `expand`.
    """

    def replaced(match: re.Match[str]) -> str:
        return "$" if match["dollar"] else _value(match[0], match["name"] or match["inside"], environ)

    closed, rest = _parted(text)
    return _SHELL_LIKE.sub(replaced, closed) + _WITHOUT_BRACES.sub(replaced, rest)


def expand_all(data: Any, environ: Mapping[str, str]) -> Any:
    """Return plain data with the references in every text of it replaced; keys of mappings stay as they are.

    Raises:
        ValueError: as `expand`; also where a variable holds a reference itself, as nobody would replace that.
    """
    match data:
        case str():
            text = expand(data, environ)
            if "${" in text:
                raise ValueError(
                    f"There is a reference that nothing is put in place of, in {one_line(data, 60)!r} or in a variable "
                    "that it names."
                )
            return text
        case dict():
            return {key: expand_all(value, environ) for key, value in data.items()}
        case list():
            return [expand_all(value, environ) for value in data]
        case _:
            return data


def template_fault(text: str) -> str | None:
    """Return the first reference in `text` that `expand` would not replace, or None."""
    for match in re.finditer(r"\$\{[^}]*\}?", text):
        template = _TEMPLATE.fullmatch(match[0])
        if template is None or _INSIDE.fullmatch(template["inside"]) is None:
            return match[0]
    return None


def referenced(text: str) -> tuple[str, ...]:
    """Return the names of the variables that `text` may refer to, in either form."""
    closed, rest = _parted(text)
    matches = itertools.chain(_SHELL_LIKE.finditer(closed), _WITHOUT_BRACES.finditer(rest))
    inner = (match["name"] or match["inside"] or "" for match in matches)
    return tuple(content[1] for one in inner if (content := _INSIDE.fullmatch(one)))


def references_in(data: Any) -> Iterator[str]:
    """Yield the names of the variables that the texts in plain data may refer to, in either form."""
    match data:
        case str():
            yield from referenced(data)
        case dict():
            for value in data.values():
                yield from references_in(value)
        case list() | tuple():
            for item in data:
                yield from references_in(item)
        case _:
            pass


def _parted(text: str) -> tuple[str, str]:
    """Return the part of a text in which braces may close, and the rest, where looking for that would never end."""
    end = text.rfind("}") + 1
    return text[:end], text[end:]


def _value(reference: str, inside: str, environ: Mapping[str, str]) -> str:
    content = _INSIDE.fullmatch(inside)
    if content is None:
        raise ValueError(
            f"{one_line(reference, 100)} is not understood. Write ${{env.NAME}}, or ${{env.NAME || 'default'}}; "
            "in a variable's value $$ is a dollar sign."
        )
    default = content[2] if content[2] is not None else content[3]
    value = environ.get(content[1])
    if default is not None:
        return value or default
    if value is None:
        raise ValueError(f"The environment variable {content[1]} is not set.")
    return value
