"""`${env.NAME}` in values of a team file, replaced when a task starts.

Responsible for what such a reference may look like, and for saying which variable is not set. Never shows a value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["expand", "referenced"]

_REFERENCE = re.compile(r"\$\{env\.([^}]*)\}")
_CONTENT = re.compile(r"""([A-Za-z_][A-Za-z0-9_]*)(?:\s*\|\|\s*(?:'([^']*)'|"([^"]*)"))?\s*""")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with `${env.NAME}` and `${env.NAME || 'default'}` replaced; any other `$` is left as it is.

    Raises:
        ValueError: a variable is not set and has no default, or a reference is not understood; names it.
    """

    def replaced(match: re.Match[str]) -> str:
        content = _CONTENT.fullmatch(match[1])
        if content is None:
            raise ValueError(f"{match[0]} is not understood; write ${{env.NAME}}, or ${{env.NAME || 'default'}}.")
        default = content[2] if content[2] is not None else content[3]
        # As in Docker's agent files, a default also stands in for a variable that is empty.
        value = environ.get(content[1]) or default
        if value is None:
            value = environ.get(content[1])
        if value is None:
            raise ValueError(f"The environment variable {content[1]} is not set.")
        return value

    return _REFERENCE.sub(replaced, text)


def referenced(text: str) -> tuple[str, ...]:
    """Return the names of the variables that `text` refers to."""
    return tuple(content[1] for inner in _REFERENCE.findall(text) if (content := _CONTENT.fullmatch(inner)))
