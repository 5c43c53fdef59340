"""Limits: reads `limits` and `restart` of a team file, and the settings of `runtime`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from ...actors import NEVER, Restart, RestartPolicy
from ..team.config import LARGEST_LIMIT, MAY_BE_ZERO, Limits, Settings
from .keys import LIMITS, RESTART
from .values import quoted

if TYPE_CHECKING:
    from ..team.places import PlaceConfig
    from .values import Section, Value

__all__ = ["LEAST_MEMORY", "SIZES", "UNITS", "read_limits", "read_restart", "read_settings", "read_size"]

UNITS: Final = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
}

_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")

_LONGEST_SIZE: Final = 100
"""Characters of a size that are read."""

SIZES: Final = frozenset({"max_output", "max_result"})
"""Settings that are numbers of bytes."""

LEAST_MEMORY: Final = 10_000_000
"""Bytes; a task's process needs about half of it before it has done anything."""


def read_settings(section: Section | None, places: tuple[PlaceConfig, ...], place: str) -> Settings:
    """Read the settings in `runtime`, beside `places` and `place`, which have been read."""
    if section is None:
        return Settings()
    chosen: dict[str, Any] = {}
    for setting in msgspec.structs.fields(Settings):
        value = section.get(setting.name)
        if value is None:
            continue
        if setting.name == "limits":
            chosen["limits"] = read_limits(value)
        elif setting.name == "places":
            chosen["places"] = places
        elif setting.name == "place":
            chosen["place"] = place
        elif setting.name == "preload":
            chosen["preload"] = _modules(value)
        elif setting.name in SIZES:
            chosen[setting.name] = read_size(value, least=1)
        elif setting.type is int:
            chosen[setting.name] = value.whole(least=0 if setting.name in MAY_BE_ZERO else 1)
        else:
            chosen[setting.name] = value.seconds(above=setting.name not in MAY_BE_ZERO)
    return Settings(**{name: value for name, value in chosen.items() if value is not None})


def _modules(value: Value) -> tuple[str, ...]:
    modules = value.texts() or []
    for entry, name in modules:
        if not all(part.isidentifier() for part in name.split(".")):
            entry.report(f"{quoted(name)} is not the name of a module.", "Write it as in an import: package.module.")
    return tuple(name for _, name in modules)


def read_limits(given: Value | None) -> Limits:
    """Read `limits`, of an agent or of `runtime`."""
    section = given.section(LIMITS) if given is not None else None
    if section is None:
        return Limits()
    chosen: dict[str, Any] = {}
    for name, value in section.values.items():
        match name:
            case "wall_clock" | "cpu":
                chosen[name] = value.seconds(above=True)
            case "cost":
                chosen[name] = value.number(above=True)
            case "memory":
                chosen[name] = read_size(value, least=LEAST_MEMORY)
            case "output":
                chosen[name] = read_size(value, least=1)
            case _:
                chosen[name] = value.whole(least=1)
        if (chosen[name] or 0) > LARGEST_LIMIT:
            value.report("This is above 10^15, and no limit is.", "Leave it out: then there is none.")
            chosen[name] = None
    return Limits(**chosen)


def read_restart(given: Value | None) -> RestartPolicy:
    """Read `restart`: the name of a policy, or a mapping with its numbers."""
    if given is None:
        return NEVER
    if isinstance(given.node.value, str):
        return RestartPolicy(restart=_policy(given))
    section = given.section(RESTART)
    if section is None:
        return NEVER
    policy, restarts = section.get("policy"), section.get("max_restarts")
    if policy is None and not section.means("policy"):
        given.report("There is no `policy` here.", f"Give one: {', '.join(get_args(Restart))}.")
    numbers = {
        name: number
        for name in ("period", "backoff", "max_backoff")
        if (value := section.get(name)) is not None and (number := value.seconds(above=name == "period")) is not None
    }
    whole = restarts.whole(least=0) if restarts is not None else None
    if whole is not None:
        numbers["max_restarts"] = whole
    return RestartPolicy(restart=_policy(policy) if policy is not None else "temporary", **numbers)  # type: ignore[arg-type]


def _policy(value: Value) -> Restart:
    text = value.text()
    known: tuple[Restart, ...] = get_args(Restart)
    for policy in known:
        if text == policy:
            return policy
    if text is not None:
        value.report(f"There is no restart policy {quoted(text)}.", f"Use one of: {', '.join(known)}.")
    return "temporary"


def read_size(value: Value, *, least: int) -> int | None:
    """Read a number of bytes: a whole number, or text with a unit such as `512MB`."""
    if not isinstance(value.node.value, str):
        return value.whole(least=least)
    found = _SIZE.fullmatch(value.node.value[:_LONGEST_SIZE])
    unit = UNITS.get(found[2].upper()) if found else None
    size = int(float(found[1]) * unit) if found and unit is not None else None
    if size is None or size < least:
        value.report(
            f"{quoted(value.node.value)} is not a size of at least {least:,} bytes.",
            "Use a number of bytes, or one with a unit: 512MB, 2GB, 1GiB.",
        )
        return None
    return size
