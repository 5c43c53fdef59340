"""Exit status: what commands end with where shells have a number of their own."""

from __future__ import annotations

from typing import Final

__all__ = ["INTERRUPTED"]

INTERRUPTED: Final = 130
"""What shells call a program that Ctrl-C has ended."""
