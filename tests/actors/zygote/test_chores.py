"""Chores: in which order the zygote does what it does for later forks, and how long it waits before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from subactors.actors.zygote import chores as chores_module
from subactors.actors.zygote.chores import Chores

SHORT, WHOLE = b"short", b"whole"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been done, in order; nothing of it in this process."""
    done: list[str] = []

    def settle_code(rehearse: Callable[[], object]) -> None:
        done.append("code")
        rehearse()

    monkeypatch.setattr(chores_module, "_rehearse", lambda actor: done.append(actor.decode()))
    monkeypatch.setattr(chores_module, "settle_code", settle_code)
    monkeypatch.setattr(chores_module, "settle_memory", lambda: done.append("memory"))
    return done


def do_stage(chores: Chores) -> int:
    """Do a whole stage; return the milliseconds of rest after which it began."""
    rest = chores.rest(is_burst=False)
    while chores.do_one():
        pass
    return rest


def test_each_stage_waits_for_longer_than_the_one_before_and_leaves_memory_in_order(done: list[str]) -> None:
    chores = Chores(SHORT, WHOLE, lambda: None)
    stages = []
    while chores.are_left:
        done.clear()
        stages.append((do_stage(chores), {*done}, done[-1]))

    assert stages == [
        (2, {"short", "code", "memory"}, "memory"),
        (50, {"whole", "memory"}, "memory"),
        (300, {"whole", "short", "code", "memory"}, "memory"),
    ]


@pytest.mark.usefixtures("done")
def test_the_long_stage_goes_on_in_any_pause_once_it_has_begun() -> None:
    chores = Chores(SHORT, WHOLE, lambda: None)
    do_stage(chores)
    do_stage(chores)

    rests = [chores.rest(is_burst=False)]
    chores.do_one()
    rests.append(chores.rest(is_burst=False))

    assert rests == [300, 50]


@pytest.mark.usefixtures("done")
def test_the_first_stage_waits_for_a_pause_where_forks_come_in_a_burst() -> None:
    chores = Chores(SHORT, WHOLE, lambda: None)

    assert chores.are_first
    assert (chores.rest(is_burst=False), chores.rest(is_burst=True)) == (2, 50)


def test_nothing_is_rehearsed_twice_where_there_is_one_rehearsal(done: list[str]) -> None:
    for short, whole in ((SHORT, SHORT), (b"", WHOLE)):
        chores = Chores(short, whole, lambda: None)
        done.clear()

        assert do_stage(chores) == 2
        assert not chores.are_left
        assert {*done} == {whole.decode(), "code", "memory"}


def test_a_rehearsal_that_fails_leaves_memory_in_order(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(actor: bytes) -> None:
        raise SystemExit(actor.decode())

    monkeypatch.setattr(chores_module, "_rehearse", fail)
    chores = Chores(SHORT, WHOLE, lambda: None)
    while chores.are_left:
        chores.do_one()

    assert done == ["memory", "memory", "code", "memory"]
