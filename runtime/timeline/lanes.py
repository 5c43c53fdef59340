"""Lanes: where parts of one row are that overlap, such as tools that were called together."""

from __future__ import annotations

from collections.abc import Iterable

from .reading import Part

__all__ = ["clusters", "in_lanes"]


def in_lanes(parts: Iterable[Part], most: int | None = None) -> list[tuple[int, Part]]:
    """Return parts with the numbers of their lanes, from 0, in which none overlaps another.

    Args:
        parts: any.
        most: how many lanes there are, the last with all that the others have no room for; None: as many as needed.
    """
    ends: list[float] = []
    placed = []
    for part in sorted(parts, key=lambda part: (part.began, -part.ended)):
        lane = next((number for number, end in enumerate(ends) if end <= part.began), len(ends))
        if most is not None and lane >= most:
            lane = most - 1
        if lane == len(ends):
            ends.append(part.ended)
        ends[lane] = max(ends[lane], part.ended)
        placed.append((lane, part))
    return placed


def clusters(parts: Iterable[Part]) -> list[list[Part]]:
    """Return parts, those together of which each overlaps another."""
    found: list[list[Part]] = []
    end = 0.0
    for part in sorted(parts, key=lambda part: (part.began, -part.ended)):
        if found and part.began < end:
            found[-1].append(part)
        else:
            found.append([part])
        end = max(end, part.ended)
    return found
