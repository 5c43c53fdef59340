"""The places of a team, made all or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from subactors.runtime import RunError, SshPlace
from subactors.runtime.nodes import finding
from subactors.runtime.team.places import PlaceConfig


def test_nothing_is_left_of_a_place_where_another_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Launcher:
        def __init__(self, name: str) -> None:
            self._name = name

        def close(self) -> None:
            closed.append(self._name)

    def launcher(config: PlaceConfig, _: object, folder: Path) -> tuple[Launcher, None]:
        if config.name == "third":
            raise RunError("it cannot be made")
        return Launcher(folder.name), None

    monkeypatch.setitem(finding.LAUNCHERS, SshPlace, launcher)
    places = [SshPlace(name=name, hosts=("box",)) for name in ("first", "second", "third")]
    with pytest.raises(RunError):
        finding._launchers(places, (), Path("/nowhere"))

    assert closed == ["1", "0"]
