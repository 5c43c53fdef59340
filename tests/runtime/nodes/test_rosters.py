"""What a roster makes of its nodes: which one a task gets, and whether any is to be waited for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from subactors.runtime import RayPlace, SshPlace
from subactors.runtime.nodes.roster import Roster
from subactors.runtime.team.places import PlaceConfig

PAIR = SshPlace(name="pair", hosts=("one", "two"))
CLUSTER = RayPlace(name="pair")


def link_to(name: str, *, serves: bool = True, is_refused: bool = False) -> Any:
    return SimpleNamespace(name=name, is_serving=serves, has_served=serves, is_refused=is_refused, processes={})


def roster_of(config: PlaceConfig, *serving: str) -> Roster:
    """Its nodes `one` and `two` serve, or those that are named."""
    roster = Roster(config)
    if isinstance(config, RayPlace):
        for name in ("one", "two"):
            roster.note_coming(name)
    for name in serving or ("one", "two"):
        link = link_to(name)
        roster.add(link, link)
        roster.note_serving(name)
    return roster


def lose(roster: Roster, link: Any, why: str = "it closed its connection") -> None:
    """Have an agent that has not served end, and be tried again, as its launcher does."""
    roster.add(link, link)
    roster.note_lost(link, why)
    roster.note_ended(link.name, "", is_final=False)
    roster.note_coming(link.name)


def given(roster: Roster, tasks: int) -> list[str]:
    """Give so many tasks that wait to nodes, and return whose they are; empty: it goes on waiting."""
    names = []
    for taken in range(tasks):
        link = roster.choose((), waiting=tasks - taken + names.count(""))
        names.append(link.name if link is not None else "")
        if link is not None:
            link.processes[taken] = link  # type: ignore[assignment]
    return names


@pytest.mark.parametrize("config", [PAIR, CLUSTER])
def test_the_first_node_leaves_others_that_are_on_their_way_their_share(config: PlaceConfig) -> None:
    roster = roster_of(config, "one")
    assert given(roster, 8) == ["one"] * 4 + [""] * 4
    second = link_to("two")
    roster.add(second, second)
    roster.note_serving("two")
    assert given(roster, 4) == ["two"] * 4


@pytest.mark.parametrize("config", [PAIR, CLUSTER])
def test_the_first_node_gets_all_where_the_others_fail_or_take_too_long(
    config: PlaceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = roster_of(config, "one")
    lose(failing, link_to("two", serves=False))
    monkeypatch.setattr("subactors.runtime.nodes.roster.OTHERS", 0.0)
    late = roster_of(config, "one")

    assert [given(roster, 8) for roster in (failing, late)] == [["one"] * 8] * 2


def test_a_node_that_comes_back_first_after_all_were_lost_leaves_the_others_their_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("subactors.runtime.nodes.roster.OTHERS", 0.0)
    roster = roster_of(PAIR)
    monkeypatch.undo()
    for link in [*roster.links.values()]:
        roster.note_lost(link, "it closed its connection")
    again = link_to("one")
    roster.add(again, again)
    roster.note_serving("one")

    assert given(roster, 8) == ["one"] * 4 + [""] * 4


def test_a_place_that_packs_gives_the_first_node_all() -> None:
    assert given(roster_of(SshPlace(name="pair", hosts=("one", "two"), placement="pack"), "one"), 8) == ["one"] * 8


@pytest.mark.parametrize("config", [SshPlace(name="pair", hosts=("one",)), CLUSTER])
def test_a_node_that_has_once_failed_without_a_reason_is_waited_for(config: PlaceConfig) -> None:
    roster = Roster(config)
    hopeless = []
    for _ in range(3):
        lose(roster, link_to("one", serves=False))
        hopeless.append(roster.is_hopeless)

    assert hopeless == [False, False, True]
    roster.note_serving("one")
    lose(roster, link_to("one", serves=False))
    assert not roster.is_hopeless


@pytest.mark.parametrize("config", [SshPlace(name="pair", hosts=("one",)), CLUSTER])
def test_a_node_that_has_stated_why_it_cannot_serve_is_not_waited_for(config: PlaceConfig) -> None:
    roster = Roster(config)
    lose(roster, link_to("one", serves=False, is_refused=True), "it has Python 3.10, and the host 3.11")

    assert roster.is_hopeless


@pytest.mark.parametrize(("is_final", "is_hopeless"), [(True, True), (False, False)])
def test_a_machine_that_cannot_be_had_is_waited_for_where_that_may_pass(is_final: bool, is_hopeless: bool) -> None:
    roster = Roster(SshPlace(name="pair", hosts=("one",)))
    roster.note_ended("one", "Connection refused", is_final=is_final)

    assert roster.is_hopeless is is_hopeless


def test_a_node_that_has_failed_is_no_reason_to_give_up_while_another_is_on_its_way() -> None:
    roster = Roster(CLUSTER)
    roster.note_coming("two")
    lose(roster, link_to("one", serves=False, is_refused=True))

    assert not roster.is_hopeless


@pytest.mark.parametrize(
    ("config", "is_hopeless", "why"),
    [
        (SshPlace(name="pair", hosts=("one", "two")), True, ""),
        (RayPlace(name="pair"), False, "every node is drained"),
    ],
)
def test_a_place_is_hopeless_when_every_node_is_drained_unless_others_may_come(
    config: PlaceConfig, is_hopeless: bool, why: str
) -> None:
    roster = roster_of(config)
    roster.drain("one")
    assert (roster.is_hopeless, roster.why_none) == (False, "")
    roster.drain("two")
    assert (roster.is_hopeless, roster.why_none) == (is_hopeless, why)
    assert roster.no_node() == "place pair has no node. one is drained. two is drained."


@pytest.mark.parametrize(
    ("config", "is_drained"), [(SshPlace(name="pair", hosts=("one", "two")), True), (RayPlace(name="pair"), False)]
)
def test_a_drained_machine_that_is_lost_comes_back_drained_and_a_node_of_a_cluster_is_another(
    config: PlaceConfig, is_drained: bool
) -> None:
    roster = roster_of(config)
    roster.drain("one")
    link: Any = roster.links["one"]
    roster.note_lost(link, "it closed its connection")
    assert roster.draining == (("one",) if is_drained else ())
    roster.add(link, link)
    roster.note_serving("one")

    assert (roster.booked("one") is None) is is_drained
    assert [link.name for link in (roster.choose(["one"]),) if link] == (["two"] if is_drained else ["one"])


@pytest.mark.parametrize(("config", "draining"), [(PAIR, ("one",)), (CLUSTER, ())])
def test_a_machine_that_is_lost_can_be_drained_and_a_node_of_a_cluster_is_gone(
    config: PlaceConfig, draining: tuple[str, ...]
) -> None:
    roster = roster_of(config)
    roster.note_lost(roster.links["one"], "it closed its connection")

    assert roster.drain("one") is None
    assert roster.draining == draining


def test_a_place_is_hopeless_though_a_drained_machine_is_lost_as_that_comes_back_drained() -> None:
    roster = roster_of(SshPlace(name="pair", hosts=("one", "two")))
    for name in ("one", "two"):
        roster.drain(name)
    roster.note_lost(roster.links["one"], "it closed its connection")

    assert roster.is_hopeless
    assert roster.no_node() == "place pair has no node. one is drained. two is drained."
