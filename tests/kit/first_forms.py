"""First forms: of a test with many forms, the first ones always run; the others are `slow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def first_always(
    names: str | tuple[str, ...],
    forms: Iterable[Any],
    *,
    keep: int = 1,
    ids: Iterable[str] | Callable[[Any], str] | None = None,
) -> pytest.MarkDecorator:
    """Parametrize a test, and mark all forms but the first ones as `slow`. Each keeps the id that it would have.

    Args:
        names: a name, or several as a tuple, as for `pytest.mark.parametrize`.
        forms: a value for each form of the test, or a tuple of values if there are several names.
        keep: how many of the forms always run.
        ids: what `pytest.mark.parametrize` takes as ids.
    """
    every = list(forms)
    rare = [
        pytest.param(*([form] if isinstance(names, str) else form), marks=pytest.mark.slow) for form in every[keep:]
    ]
    return pytest.mark.parametrize(names, [*every[:keep], *rare], ids=ids)
