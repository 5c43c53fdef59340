"""The places of a team, made all or none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from subactors.runtime import RunError, Runtime, SshPlace
from subactors.runtime.nodes import finding
from subactors.runtime.team.places import PlaceConfig
from teams import PATIENCE


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


class FindsNone:
    """A launcher that goes on looking for nodes."""

    def begin(self, *_: object) -> None:
        """Find none."""

    close = begin


def test_what_waits_for_a_node_is_stopped_without_patience_as_nothing_of_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finding, "require", lambda _: None)
    monkeypatch.setitem(finding.LAUNCHERS, SshPlace, lambda *_: (FindsNone(), None))
    patient = Runtime(standby=0, places=[SshPlace(name="far", hosts=("box1",))], stop_grace=2 * PATIENCE)
    with ThreadPoolExecutor(1) as thread, patient as runtime:
        stopped, left = runtime.submit(len, "x", place="far"), runtime.submit(len, "x", place="far")
        wait_until(lambda: stopped.view().doing and left.view().doing, "they wait", limit=PATIENCE)

        assert thread.submit(stopped.stop).result(PATIENCE).status == "stopped"
        thread.submit(runtime.close).result(PATIENCE)
