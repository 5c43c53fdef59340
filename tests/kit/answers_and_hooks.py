"""Answers of proxies, waited for with patience, and the hooks that a `Hooked` actor has noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PATIENCE = 30.0


def get(future: Any) -> Any:
    """Return what a proxy's call answers."""
    return future.get(timeout=PATIENCE)


def hooks(file: Path) -> list[str]:
    """Return the names of the hooks that a `Hooked` actor has noted."""
    return [line.split()[0] for line in file.read_text().splitlines()]
