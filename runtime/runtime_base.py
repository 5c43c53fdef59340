"""Runtime base: what both forms of the runtime have: how one is made, its team, and what the kernel offers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from .host import Host
from .host_way import HostWay
from .team.config import NO_TEAM, Team
from .verbs.arguments import type_name
from .verbs.way import Verbs

if TYPE_CHECKING:
    from ..actors.fence import FenceOffer
    from .people import OnQuestion
    from .team.places import PlaceConfig

__all__ = ["RuntimeBase"]


class RuntimeBase(Verbs):
    """See the module, and `Runtime` for the arguments. A `Host` does the work, and lives and ends with it."""

    def __init__(
        self,
        team: Team | None = None,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        on_question: OnQuestion | None = None,
        **settings: Any,
    ) -> None:
        if team is not None and not isinstance(team, Team):
            raise TypeError(
                f"team is {type_name(team)}; it must be a Team. {type(self).__name__}.from_file reads a team file, and "
                "from_mapping takes what such a file holds."
            )
        self._host = Host(
            NO_TEAM if team is None else team,
            state_dir=state_dir,
            working_dir=working_dir,
            for_many=True,
            on_question=on_question,
            **settings,
        )
        super().__init__(HostWay(self._host))

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        on_question: OnQuestion | None = None,
        **settings: Any,
    ) -> Self:
        """Make a runtime for a team file.

        Raises:
            TeamFileError: the file cannot be used; it has every problem of it, with line and key.
        """
        from .teamfile.load import load_team  # noqa: PLC0415 - YAML is needed for files only

        team = load_team(path, _places_in(settings))
        return cls(team, state_dir=state_dir, working_dir=working_dir, on_question=on_question, **settings)

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any],
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        on_question: OnQuestion | None = None,
        **settings: Any,
    ) -> Self:
        """Make a runtime for a team that is given as what a team file holds; raises as `from_file` does."""
        from .teamfile.load import team_from_mapping  # noqa: PLC0415 - a team that is a `Team` already needs no checks

        team = team_from_mapping(mapping, places=_places_in(settings))
        return cls(team, state_dir=state_dir, working_dir=working_dir, on_question=on_question, **settings)

    @property
    def team(self) -> Team:
        """The team, with the settings that are in force."""
        return self._host.team

    @property
    def fence(self) -> FenceOffer:
        """The fence that this kernel offers between tasks and this process; not for those with `privileges: keep`."""
        from ..actors.fence import offer  # noqa: PLC0415 - for hosts that ask

        return offer()


def _places_in(settings: Mapping[str, Any]) -> tuple[PlaceConfig, ...] | None:
    """Return the places that a program gives, which its team may name; None if it gives none."""
    if "places" not in settings:
        return None
    from .teamfile.places import places_from  # noqa: PLC0415 - for programs that give some

    return places_from(settings["places"])
