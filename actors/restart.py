"""Restart policies, as in OTP: what to do when a child has ended, decided in one place.

Policy is data (`RestartPolicy`); what has happened is data too (`RestartHistory`); `decide` puts them together and
touches nothing else.
"""

from __future__ import annotations

import os
from typing import Final, Literal, TypeAlias, get_args

import msgspec

__all__ = ["NEVER", "Again", "GiveUp", "Restart", "RestartHistory", "RestartPolicy", "decide"]

Restart: TypeAlias = Literal["temporary", "transient", "permanent"]
"""`temporary`: never; `transient`: after a failure; `permanent`: after every end but a stop."""

_JITTER: Final = 0.25
"""Largest share by which a pause is shortened, so that children that fell together do not rise together."""

_MOST_DOUBLINGS: Final = 100
"""Beyond any bound that means something; a float takes about a thousand."""


class RestartPolicy(msgspec.Struct, frozen=True):
    """When a child that has ended is started again.

    Attributes:
        restart: see `Restart`.
        max_restarts: restarts allowed within `period`; one more, and the child stays down.
        period: seconds of the sliding window in which restarts are counted.
        backoff: seconds before the first restart; doubles with each within the period.
        max_backoff: longest pause, in seconds.
    """

    restart: Restart = "temporary"
    max_restarts: int = 3
    period: float = 60.0
    backoff: float = 0.5
    max_backoff: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what nobody could keep to.

        Raises:
            TypeError: a number is none.
            ValueError: there is no such restart, or a number is below 0, or is not finite.
        """
        if self.restart not in get_args(Restart):
            raise ValueError(f"restart is {self.restart!r}; it must be one of {', '.join(get_args(Restart))}.")
        for name in ("max_restarts", "period", "backoff", "max_backoff"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} of a restart policy is {value!r}; it must be a number.")
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} of a restart policy is {value}; it must be at least 0, and finite.")


NEVER: Final = RestartPolicy()


class RestartHistory(msgspec.Struct):
    """When a child was restarted: monotonic times, the oldest first, those within the period only."""

    times: list[float] = msgspec.field(default_factory=list)


class GiveUp(msgspec.Struct, frozen=True):
    """The child stays down; `exhausted` if that is because it was restarted too often."""

    exhausted: bool


class Again(msgspec.Struct, frozen=True):
    """The child is started again after `delay` seconds."""

    delay: float


def decide(
    policy: RestartPolicy, history: RestartHistory, *, failed: bool, stopped: bool, now: float
) -> Again | GiveUp:
    """Decide whether a child that has ended is started again, and note it in its history if so.

    Args:
        policy: the child's.
        history: the child's; changed.
        failed: whether the end was a failure; a failed start is one.
        stopped: whether a stop was asked for; nothing is restarted against the will of whoever stopped it.
        now: monotonic time.
    """
    if stopped or policy.restart == "temporary" or (policy.restart == "transient" and not failed):
        return GiveUp(exhausted=False)
    times = history.times
    while times and times[0] <= now - policy.period:
        del times[0]
    if len(times) >= policy.max_restarts:
        return GiveUp(exhausted=True)
    pause = min(policy.max_backoff, policy.backoff * 2.0 ** min(len(times), _MOST_DOUBLINGS))
    times.append(now)
    # Not of `random`: children of one zygote share its state, and each new process would set that up anew.
    share = int.from_bytes(os.urandom(4)) / 2**32
    return Again(pause * (1 - _JITTER * share))
