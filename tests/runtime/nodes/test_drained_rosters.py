"""What a place says whose every node is drained, by whether it may get others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from subactors.runtime import RayPlace, SshPlace
from subactors.runtime.nodes.roster import Roster
from subactors.runtime.team.places import PlaceConfig


def roster_of(config: PlaceConfig) -> Roster:
    """Its nodes `one` and `two` serve."""
    roster = Roster(config)
    for name in ("one", "two"):
        link: Any = SimpleNamespace(name=name, is_serving=True, has_served=True, processes={})
        roster.add(link, link)
        roster.note_serving(name)
    return roster


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


def test_a_place_is_hopeless_though_a_drained_machine_is_lost_as_that_comes_back_drained() -> None:
    roster = roster_of(SshPlace(name="pair", hosts=("one", "two")))
    for name in ("one", "two"):
        roster.drain(name)
    roster.note_lost(roster.links["one"], "it closed its connection")

    assert roster.is_hopeless
    assert roster.no_node() == "place pair has no node. one is drained. two is drained."
