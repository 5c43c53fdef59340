"""Lifecycle: checks `lifecycle` of a toolset, a key of Docker's files for starting, asking and restarting a server.

Keys with a meaning here become options of the toolset; the others are noted as without effect.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from .values import Keys, Section, Value

__all__ = ["BACKOFF", "LIFECYCLE", "PROFILES", "RESTARTS", "read_lifecycle"]

LIFECYCLE: Final = Keys(
    supported=frozenset(
        {"profile", "restart", "max_restarts", "backoff", "required", "startup_timeout", "call_timeout"}
    )
)
BACKOFF: Final = Keys(supported=frozenset({"initial", "max", "multiplier", "jitter"}))

PROFILES: Final = MappingProxyType(
    {"resilient": (True, "on_failure"), "strict": (False, "never"), "best-effort": (True, "never")}
)
"""Whether the server may be missing, and when it is started again. As with Docker's, only `strict` insists on it."""

_MOST_RESTARTS: Final = 5
"""Docker's, and ours."""

RESTARTS: Final = ("never", "on_failure", "always")


def read_lifecycle(value: Value) -> dict[str, Any]:
    """Return the options of a toolset that are given: `optional`, `max_restarts`, `startup_timeout`, `timeout`."""
    section = value.section(LIFECYCLE)
    if section is None:
        return {}
    options: dict[str, Any] = {}
    restart = "on_failure"
    if profile := _one_of(section, "profile", tuple(PROFILES)):
        options["optional"], restart = PROFILES[profile]
    options["max_restarts"] = _most_restarts(section, _one_of(section, "restart", RESTARTS) or restart)
    if (required := section.get("required")) is not None and (truth := required.boolean()) is not None:
        options["optional"] = not truth
    for key, option in (("startup_timeout", "startup_timeout"), ("call_timeout", "timeout")):
        given = section.get(key)
        duration = given.seconds() if given is not None else None
        if given is not None and duration == 0:
            _without_effect(given)  # there is always a limit here
        elif duration is not None:
            options[option] = duration
    _check_backoff(section.get("backoff"))
    return options


def _most_restarts(section: Section, restart: str) -> int | None:
    """Read how often in a row a server is started again; None is without end."""
    given = section.get("max_restarts")
    most = given.whole(least=-1) if given is not None else None
    if restart == "never":
        if given is not None and most is not None:
            _without_effect(given)
        return 0
    return None if most == -1 else most or _MOST_RESTARTS  # 0 stands for the default


def _one_of(section: Section, key: str, known: tuple[str, ...]) -> str:
    """Read a word; empty if it is not given, or none of those known, which is noted."""
    given = section.get(key)
    word = given.text() if given is not None else None
    if given is None or word is None:
        return ""
    if word not in known:
        given.unknown(key, word, known)
        return ""
    return word


def _check_backoff(value: Value | None) -> None:
    """Check what is waited between two starts. Here a server is started again at the next call, without waiting."""
    section = value.section(BACKOFF) if value is not None else None
    if value is None or section is None:
        return
    _without_effect(value)
    for key, given in section.values.items():
        if key == "jitter":
            given.number(most=1.0)
        elif key == "multiplier":
            given.number(above=True)
        else:
            given.seconds()


def _without_effect(value: Value) -> None:
    value.findings.ignore(value.node, value.path)
