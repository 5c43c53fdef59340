"""In force: a team's settings after those that a program gives, and what of the two cannot be together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from ..team.config import MAY_BE_ZERO, Limits, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..team.config import Team

__all__ = ["with_settings"]


def with_settings(team: Team, changes: Mapping[str, Any]) -> Team:
    """Return a team whose settings are its own, but for those that the host program gives.

    Raises:
        TypeError: a setting that does not exist, or has the wrong type.
        ValueError: a setting is out of its range, or an agent is to run at a place that there is not.
        TeamFileError: something in `places` is wrong.
    """
    settings = _changed(team.settings, changes)
    agents = team.agents.values()
    if settings.place or any(agent.place or agent.resources is not None for agent in agents):
        from .places import place_fault  # noqa: PLC0415 - most teams have one machine

        if fault := place_fault(settings, agents):
            raise ValueError(fault)
    return msgspec.structs.replace(team, settings=settings)


def _changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    known = [field.name for field in msgspec.structs.fields(Settings)]
    for name in changes:
        if name not in known:
            raise TypeError(f"Runtime has no setting {name!r}; settings are {', '.join(known)}.")
    values = {**msgspec.structs.asdict(settings), **changes}
    values["limits"] = msgspec.to_builtins(values["limits"])
    places = values.pop("places")
    if "places" in changes:
        from .places import places_from  # noqa: PLC0415 - as above

        places = places_from(places)
    try:
        changed = msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise TypeError(f"A setting of the runtime has the wrong type: {error}.") from None
    for name, value in msgspec.structs.asdict(changed).items():
        if isinstance(value, Limits | tuple | str):
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and name not in MAY_BE_ZERO):
            least = "of at least 0" if name in MAY_BE_ZERO else "above 0"
            raise ValueError(f"The setting {name} is {value}; it must be a finite number {least}.")
    return msgspec.structs.replace(changed, places=places)
