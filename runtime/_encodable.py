"""Makes any Python text fit to be written as UTF-8; decides nothing else about it."""

from __future__ import annotations

__all__ = ["encodable"]


def encodable(text: str) -> str:
    """Return `text` with surrogate pairs joined and lone surrogates replaced, so that it can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
