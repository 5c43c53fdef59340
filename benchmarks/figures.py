"""Figures: what a benchmark that runs by itself has measured, on standard output, beside its targets."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["print_figures"]


def print_figures(figures: Mapping[str, float], targets: Mapping[str, float], *, as_json: bool) -> int:
    """Print figures, a line each, or as one line of JSON; return the exit status: 1 if one is above its target."""
    if as_json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        target = targets.get(name)
        print(f"{name:42} {value:9.3f}" + (f"   at most {target:g}" if target is not None else ""))
    return int(any(figures[name] > target for name, target in targets.items()))
