"""What the tasks of the service do, each in a process of its own."""

from __future__ import annotations

__all__ = ["count"]


def count(text: str) -> int:
    """Count words; what is printed reaches the client at once."""
    print(f"counting {text[:40]}")
    return len(text.split())
