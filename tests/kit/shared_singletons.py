"""Singletons of a module that the host and its tasks both have."""

from __future__ import annotations

import dataclasses
from typing import Final

__all__ = ["ABSENT", "PLAIN", "is_one"]


class _Absent:
    pass


ABSENT: Final = _Absent()
PLAIN: Final = object()


def is_one(value: object) -> bool:
    """Whether an object is that of this process: one of this module, or `dataclasses.MISSING`."""
    return any(value is one for one in (ABSENT, PLAIN, dataclasses.MISSING))
