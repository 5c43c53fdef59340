"""Tool names: finds the tool that a model's own spelling means, and writes names that every server accepts."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["plain_name"]

_VALID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What OpenAI and all who follow it accept as the name of a function."""

_LONGEST: Final = 64

_LOOKED_AT: Final = 1000
"""Characters of a name that are looked at: some models put the whole call into it."""

_NAMESPACE: Final = re.compile(r"\A(?:.*\bto=)?\s*(?:functions?|default_api)[.:]", re.DOTALL)
"""What models put before a name, because their own format lists tools like that."""

_REST: Final = re.compile(r"[<(\n].*", re.DOTALL)
"""What models leave behind a name: tokens of their own format, or the arguments."""

_QUOTES: Final = " \t\r\n\"'`"

_UNKNOWN: Final = "unknown_tool"


def plain_name(name: str) -> str:
    """Return the name that a model meant: `functions.think`, ` think `, `think<|channel|>json` mean `think`.

    A name of 1 to 64 letters, digits, `_` and `-` is returned unchanged, and any other gets this form. So the name is
    one that every server accepts in a conversation, whether there is such a tool or not.
    """
    if _VALID.fullmatch(name):
        return name
    text = _NAMESPACE.sub("", name[:_LOOKED_AT])
    text = (_REST.sub("", text.strip()) or text).strip(_QUOTES)
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:_LONGEST] or _UNKNOWN
