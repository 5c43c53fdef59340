"""For tests of the checks: a small team with something in it, and the problems of such a team."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from subactors.runtime.errors import TeamFileError
from subactors.runtime.teamfile.load import team_from_mapping

if TYPE_CHECKING:
    from subactors.runtime.team.config import Team

__all__ = ["problem", "problems", "team"]


def team(*, a: dict[str, Any] | None = None, **top: Any) -> Team:
    """Check a team with an agent `a` that has a model and what is given, an agent `b`, and the given top-level keys."""
    agents = {"a": {"model": "openai/gpt-4o"} | (a or {}), "b": {"model": "openai/gpt-4o"}}
    return team_from_mapping({"agents": agents} | top)


def problems(*, a: dict[str, Any] | None = None, **top: Any) -> list[tuple[str, str]]:
    """Path and text of each problem of such a team."""
    with pytest.raises(TeamFileError) as caught:
        team(a=a, **top)
    return [(problem.path, f"{problem.message} {problem.remedy}") for problem in caught.value.problems]


def problem(path: str, *, a: dict[str, Any] | None = None, **top: Any) -> str:
    """The text of the only problem of such a team, which must be at `path`."""
    ((found, text),) = problems(a=a, **top)
    assert found == path
    return text
