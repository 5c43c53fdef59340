"""`runtime.places` of a team file, `place` and `resources` of its agents, and the same from a program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from subactors.runtime import AgentConfig, Limits, RayPlace, Resources, Settings, SshPlace, Team, TeamFileError
from subactors.runtime.teamfile.in_force import with_settings
from subactors.runtime.teamfile.load import check_team, team_from_mapping
from subactors.runtime.teamfile.places import places_from

AGENT = {"entrypoint": "a:b"}
PAIR = SshPlace(name="pair", hosts=("box1",))


def problems(text: str, folder: Path) -> list[str]:
    (folder / "team.yaml").write_text(text)
    return [f"{problem.path}: {problem.message} {problem.remedy}" for problem in check_team(folder / "team.yaml")[1]]


def test_places_and_what_agents_say_of_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(
        "agents:\n"
        "  root: {entrypoint: 'a:b', place: pair}\n"
        "  heavy: {entrypoint: 'a:b', resources: {cpu: 2, gpu: 0.5, memory: 2GB, custom: {tpu: 1}}}\n"
        "runtime:\n"
        "  place: cluster\n"
        "  places:\n"
        "    pair: {type: ssh, hosts: [box1, me@box2], python: /srv/python, options: [-i, key], workdir: /srv}\n"
        "    cluster: {type: ray, folder: ~/tasks}\n"
    )
    team, _ = check_team(tmp_path / "team.yaml")
    assert team is not None

    assert team.settings.places == (
        SshPlace(name="pair", hosts=("box1", "me@box2"), python="/srv/python", options=("-i", "key"), workdir="/srv"),
        RayPlace(name="cluster", folder="~/tasks"),
    )
    assert (team.settings.place, team.agents["root"].place, team.agents["heavy"].place) == ("cluster", "pair", "")
    assert team.agents["heavy"].resources == Resources(cpu=2, gpu=0.5, memory=2_000_000_000, custom={"tpu": 1})


def test_what_nodes_are_sent_besides_begins_where_the_file_is(tmp_path: Path) -> None:
    for folder in ("team", "library"):
        (tmp_path / folder).mkdir()
    (tmp_path / "team" / "rates.py").touch()
    (tmp_path / "team" / "team.yaml").write_text(
        "agents: {root: {entrypoint: 'a:b'}}\n"
        "runtime:\n"
        "  places:\n"
        "    pair: {type: ssh, hosts: [box1], py_modules: [rates.py, ../library, ./rates.py]}\n"
        f"    cluster: {{type: ray, py_modules: ['{tmp_path}/library']}}\n"
    )
    team, _ = check_team(tmp_path / "team" / "team.yaml")
    assert team is not None
    pair, cluster = team.settings.places

    assert pair.py_modules == (f"{tmp_path}/team/rates.py", f"{tmp_path}/library")
    assert cluster.py_modules == (f"{tmp_path}/library",)
    assert places_from([pair, cluster]) == (pair, cluster)


def test_what_nodes_are_to_be_sent_and_is_not_there_is_told_of_each(tmp_path: Path) -> None:
    (tmp_path / "data.json").touch()
    found = problems(
        "agents: {root: {entrypoint: 'a:b'}}\n"
        "runtime:\n"
        "  places:\n"
        "    pair: {type: ssh, hosts: [box1], py_modules: [gone, data.json]}\n"
        "    cluster: {type: ray, py_modules: [1, gone.py]}\n"
        "    other: {type: ray, py_modules: gone.py}\n",
        tmp_path,
    )

    assert [line.partition(":")[0] for line in found] == [
        "runtime.places.pair.py_modules[0]",
        "runtime.places.pair.py_modules[1]",
        "runtime.places.cluster.py_modules[0]",
        "runtime.places.cluster.py_modules[1]",
        "runtime.places.other.py_modules",
    ]
    assert "There is no folder and no Python file 'data.json'. Name a package's folder" in found[1]


def test_all_mistakes_are_told_at_once_each_with_its_remedy(tmp_path: Path) -> None:
    found = problems(
        "agents:\n"
        "  a: {entrypoint: 'a:b', place: clutser}\n"
        "  b: {entrypoint: 'a:b', place: pair, resources: {gpus: 1}}\n"
        "  c: {entrypoint: 'a:b', place: nosuch}\n"
        "runtime:\n"
        "  place: par\n"
        "  places:\n"
        "    cluster: {type: ray, address: 'ray://head:10001', hosts: [a]}\n"
        "    pair: {type: ssh, hosts: [-l, 'box:22', box, box, 'a b'], workdir: srv}\n"
        "    empty: {type: ssh, hosts: []}\n"
        "    'a place': {type: ray, address: local}\n"
        "    batch: {type: slurm}\n"
        "    bare: {}\n",
        tmp_path,
    )

    assert [line.split(": ")[0] for line in found] == [
        "agents.a.place",
        "agents.b.resources",
        "agents.b.resources.gpus",
        "agents.c.place",
        "runtime.place",
        "runtime.places.cluster.address",
        "runtime.places.cluster.hosts",
        "runtime.places.pair.hosts[0]",
        "runtime.places.pair.hosts[1]",
        "runtime.places.pair.hosts[3]",
        "runtime.places.pair.hosts[4]",
        "runtime.places.pair.workdir",
        "runtime.places.empty.hosts",
        'runtime.places["a place"]',
        'runtime.places["a place"].address',
        "runtime.places.batch.type",
        "runtime.places.bare",
    ]
    text = "\n".join(found)
    for remedy in (
        "Did you mean `cluster`?",
        "place pair is reached by ssh",
        "Known are: a place, bare, batch, cluster, empty, pair.",
        "`ray job submit`",
        "It belongs in a place of `type: ssh`.",
        "options belong under `options`",
        "Write ssh://box:22.",
        "Begin its path with `/`.",
        "Known are: ray, ssh.",
    ):
        assert remedy in text


@pytest.mark.parametrize(
    "runtime",
    ["runtime: 3", "runtime: {places: 3}", "runtime: {place: 3, placess: {pair: {type: ray}}}", "runtme: {places: {}}"],
)
def test_a_mistake_where_places_are_defined_makes_no_other(runtime: str, tmp_path: Path) -> None:
    found = problems(
        f"agents: {{root: {{entrypoint: 'a:b', place: pair, resources: {{cpu: 1}}}}}}\n{runtime}", tmp_path
    )

    assert [line for line in found if line.startswith("agents")] == []
    assert found


def test_a_name_that_is_none_of_a_file_without_places_is_told_where_to_define_it(tmp_path: Path) -> None:
    (found,) = problems("agents: {root: {entrypoint: 'a:b', place: pair}}", tmp_path)

    assert "Define it under `runtime.places`" in found


# --- from a program -------------------------------------------------------------------------------------------------


def test_a_program_gives_places_as_a_file_has_them_or_as_structs() -> None:
    as_in_a_file = {"pair": {"type": "ssh", "hosts": ["box1"]}, "cluster": {"type": "ray"}}

    assert places_from(as_in_a_file) == places_from([PAIR, RayPlace(name="cluster")])


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"pair": {"type": "ssh"}}, "places.pair: This place has no `hosts`"),
        ([SshPlace(name="pair", hosts=("-oProxyCommand=x",))], r"places.pair.hosts\[0\]: .* an option of ssh"),
        ([RayPlace(name="cluster", address="ray://head:1")], "`ray job submit`"),
    ],
)
def test_what_a_program_gives_is_checked_in_the_same_way(given: Any, part: str) -> None:
    with pytest.raises(TeamFileError, match=part):
        places_from(given)


@pytest.mark.parametrize("given", [3, "pair", [Limits()], (PAIR, PAIR)])
def test_what_is_no_places_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"places is|same name"):
        places_from(given)


def test_a_team_may_name_a_place_that_the_program_gives() -> None:
    mapping = {"agents": {"root": {**AGENT, "place": "pair"}}}

    team = team_from_mapping(mapping, places=[PAIR])
    assert with_settings(team, {"places": [PAIR]}).settings.places == (PAIR,)
    with pytest.raises(TeamFileError, match="Did you mean `pairs`"):
        team_from_mapping(mapping, places=[SshPlace(name="pairs", hosts=("box1",))])


@pytest.mark.parametrize(
    ("agent", "settings", "part"),
    [
        ({"place": "pair"}, {}, "Agent 'root' runs at place 'pair', and this runtime has no such"),
        ({"place": "pair"}, {"places": [RayPlace(name="cluster")]}, "Places: cluster."),
        ({"resources": Resources(cpu=1)}, {"places": [PAIR]}, "has `resources`, and runs at no place of `type: ray`"),
        ({}, {"place": "pair"}, "The setting place is 'pair'"),
    ],
)
def test_an_agent_of_a_program_without_its_place_is_refused(
    agent: dict[str, Any], settings: dict[str, Any], part: str
) -> None:
    team = Team(source="", agents={"root": AgentConfig(name="root", entrypoint="a:b", **agent)}, root="root")

    with pytest.raises(ValueError, match=re.escape(part)):
        with_settings(team, settings)


def test_places_of_the_program_take_the_place_of_the_file_s() -> None:
    team = team_from_mapping({"agents": {"root": AGENT}, "runtime": {"places": {"cluster": {"type": "ray"}}}})

    assert with_settings(team, {"max_running": 3}).settings.places == (RayPlace(name="cluster"),)
    assert with_settings(team, {"places": {}}).settings == Settings()
