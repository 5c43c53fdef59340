"""Whether a task is started again, and after which pause: decided from its policy and its history alone."""

from __future__ import annotations

from typing import Final

import pytest
from subactors.actors import Again, GiveUp, Restart, RestartHistory, RestartPolicy, decide

NO_GIVE_UP: Final = GiveUp(exhausted=False)
EXHAUSTED: Final = GiveUp(exhausted=True)

# --- the decision ---------------------------------------------------------------------------------------------------


def decision(policy: RestartPolicy, *times: float, now: float = 100.0, **how: bool) -> Again | GiveUp:
    """Decide for a child with these restarts in its history; it has failed and was not stopped, if nothing else."""
    return decide(policy, RestartHistory(list(times)), **{"failed": True, "stopped": False, **how}, now=now)


@pytest.mark.parametrize(
    ("restart", "failed", "stopped", "again"),
    [
        ("temporary", False, False, False),
        ("temporary", True, False, False),
        ("temporary", False, True, False),
        ("temporary", True, True, False),
        ("transient", False, False, False),
        ("transient", True, False, True),
        ("transient", False, True, False),
        ("transient", True, True, False),
        ("permanent", False, False, True),
        ("permanent", True, False, True),
        ("permanent", False, True, False),
        ("permanent", True, True, False),
    ],
)
def test_a_policy_decides_on_each_kind_of_end(restart: Restart, failed: bool, stopped: bool, again: bool) -> None:
    found = decision(RestartPolicy(restart=restart), failed=failed, stopped=stopped)
    assert isinstance(found, Again) if again else found == NO_GIVE_UP


@pytest.mark.parametrize(
    ("times", "again"),
    [
        ((), True),
        ((99.0,), True),
        ((98.0, 99.0), False),
        ((95.0, 99.0), False),
        ((90.0, 99.0), True),  # at the very edge of the period, it no longer counts
        ((10.0, 20.0, 30.0), True),
        ((10.0, 98.0, 99.0), False),
    ],
)
def test_only_restarts_within_the_sliding_period_count(times: tuple[float, ...], again: bool) -> None:
    found = decision(RestartPolicy("transient", max_restarts=2, period=10.0), *times)
    assert isinstance(found, Again) if again else found == EXHAUSTED


def test_no_restarts_allowed_is_exhausted_at_once() -> None:
    assert decision(RestartPolicy("permanent", max_restarts=0)) == EXHAUSTED


def test_a_restart_is_noted_in_the_history_and_what_has_passed_leaves_it() -> None:
    history = RestartHistory([1.0, 95.0])
    decide(RestartPolicy("transient", period=10.0), history, failed=True, stopped=False, now=100.0)
    assert list(history.times) == [95.0, 100.0]


def test_giving_up_leaves_the_history_as_it_is() -> None:
    history = RestartHistory([99.0])
    decide(RestartPolicy("transient", max_restarts=1), history, failed=True, stopped=False, now=100.0)
    decide(RestartPolicy("temporary"), history, failed=True, stopped=False, now=100.0)
    assert list(history.times) == [99.0]


@pytest.mark.parametrize(("earlier", "longest"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (9, 5.0)])
def test_the_pause_doubles_up_to_a_bound_and_jitter_only_shortens_it_by_a_quarter(earlier: int, longest: float) -> None:
    policy = RestartPolicy("transient", max_restarts=20, backoff=0.5, max_backoff=5.0)
    pauses = [found.delay for _ in range(200) if isinstance(found := decision(policy, *[99.0] * earlier), Again)]
    assert len(pauses) == 200
    assert all(0.75 * longest <= pause <= longest for pause in pauses)
    assert len(set(pauses)) > 100


def test_a_pause_never_overflows_however_many_restarts_there_were() -> None:
    policy = RestartPolicy("transient", max_restarts=10_000, max_backoff=30.0)
    found = decision(policy, *[99.0] * 5000)
    assert isinstance(found, Again)
    assert found.delay <= 30.0
