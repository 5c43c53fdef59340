"""What a `Runtime` is made with: settings, team files and mappings, its state folder, how much it remembers."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator_team import orchestrated, started
from processes_and_waits import wait_until
from subactors.runtime import CapacityError, Runtime, StateError, TeamFileError, UnknownTaskError
from teams import call, entrypoint, entrypoint_team, run_and_wait, shared_runtime, speaking, task_ids


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_of_the_program_win_over_those_of_the_team() -> None:
    team = {**entrypoint_team(), "runtime": {"max_running": 1, "max_queued": 0, "max_tasks": 7}}

    with Runtime.from_mapping(team, max_running=2) as runtime:
        settings = runtime.team.settings
        ids = [runtime.run("waits", "x") for _ in range(2)]
        with pytest.raises(CapacityError, match="2 is the limit"):
            runtime.run("waits", "x")
        assert len(ids) == 2

    assert (settings.max_running, settings.max_tasks, settings.stop_grace) == (2, 7, 2.0)


def test_an_unknown_setting_is_refused_with_those_there_are() -> None:
    with pytest.raises(TypeError, match="no setting 'max_runing'; settings are max_running, max_queued, max_tasks"):
        Runtime.from_mapping(entrypoint_team(), max_runing=2)


@pytest.mark.parametrize("setting", [{"max_running": "2"}, {"max_running": 2.5}, {"stop_grace": None}])
def test_a_setting_of_the_wrong_type_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"Expected .*{next(iter(setting))}"):
        Runtime.from_mapping(entrypoint_team(), **setting)


@pytest.mark.parametrize(
    "setting",
    [
        {"max_running": 0},
        {"max_queued": -1},
        {"max_tasks": -1},
        {"max_output": 0},
        {"stop_grace": -0.1},
        {"stop_grace": math.inf},
        {"stop_grace": math.nan},
        {"model_idle_timeout": 0},
    ],
)
def test_a_setting_out_of_its_range_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"The setting {next(iter(setting))} is"):
        Runtime.from_mapping(entrypoint_team(), **setting)


@pytest.mark.parametrize("grace", [0, 1e15])
def test_any_grace_period_that_a_team_may_have_works(grace: float) -> None:
    with Runtime.from_mapping(entrypoint_team(), stop_grace=grace) as runtime:
        assert runtime.stop(speaking(runtime, "waits"))[0].status == "stopped"
        speaking(runtime, "waits")


def test_a_team_file_with_a_mistake_is_refused_with_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text("agents:\n  cook:\n    entrypoint: entrypoints:echo\n    instrucion: Cook.\n")

    with pytest.raises(TeamFileError) as caught:
        Runtime.from_file(path)

    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (4, "agents.cook.instrucion")


def test_a_mapping_with_a_mistake_is_refused() -> None:
    with pytest.raises(TeamFileError, match="sub_agents"):
        Runtime.from_mapping({"agents": {"cook": entrypoint("echo", sub_agents=["nobody"])}})


def test_a_team_file_runs(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text("agents:\n  cook:\n    entrypoint: entrypoints:echo\nruntime:\n  max_running: 3\n")

    with Runtime.from_file(path) as runtime:
        assert run_and_wait(runtime, "cook", "soup").result == "soup"
        assert runtime.team.settings.max_running == 3


# --- memory ---------------------------------------------------------------------------------------------------------


def test_beyond_the_limit_the_oldest_task_whose_result_was_read_is_forgotten() -> None:
    with Runtime.from_mapping(entrypoint_team(), max_tasks=2) as runtime:
        running = runtime.run("waits", "x")
        unread = runtime.run("echo", "unread")
        read = run_and_wait(runtime, "echo", "read").id
        wait_until(lambda: all(view.ended for view in runtime.list() if view.id != running), "they have ended")

        new = runtime.run("echo", "new")

        assert task_ids(runtime.list()) == [running, unread, new]
        with pytest.raises(UnknownTaskError, match=read):
            runtime.view(read)


def test_a_program_starts_as_many_tasks_as_may_be_queued_before_it_reads_a_result() -> None:
    with Runtime.from_mapping(entrypoint_team(), max_tasks=1, max_running=4, max_queued=20) as runtime:
        tasks = [runtime.run("echo", str(number)) for number in range(21)]
        wait_until(lambda: all(view.ended for view in runtime.list()), "they have ended")

        with pytest.raises(CapacityError, match="21 is the limit: 21 have ended whose results nobody has read"):
            runtime.run("echo", "one too many")
        assert [task.result() for task in tasks] == [str(number) for number in range(21)]


def test_an_orchestrator_that_reads_no_results_leaves_room_for_another() -> None:
    with (
        Runtime.from_mapping(orchestrated(), max_tasks=4, max_queued=0, standby=0) as runtime,
        runtime.toolset("boss") as careless,
        runtime.toolset("boss") as other,
    ):
        for _ in range(3):
            started(careless, "echo")
        wait_until(lambda: all(view.ended for view in runtime.list()), "they have ended")

        refused = call(careless, "run_background_agent", agent="echo", task="one too many")
        assert "3 tasks that you have started have ended" in refused.text
        started(other, "echo")


def test_a_result_that_nobody_has_read_is_never_dropped() -> None:
    with Runtime.from_mapping(entrypoint_team(), max_tasks=2, max_queued=0) as runtime:
        ids = [runtime.run("echo", "1"), runtime.run("echo", "2")]
        # A list shows that they have ended, but not their whole results.
        wait_until(lambda: all(view.ended for view in runtime.list()), "they have ended")

        with pytest.raises(CapacityError, match=r"2 tasks are remembered.*2 have ended whose results nobody has read"):
            runtime.run("echo", "3")
        assert task_ids(runtime.list()) == ids

        assert runtime.view(ids[1]).result == "2"
        third = runtime.run("echo", "3")
        assert task_ids(runtime.list()) == [ids[0], third]


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_run_keeps_its_files_in_a_folder_of_its_own_in_the_state_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    for _ in range(2):
        with Runtime.from_mapping(entrypoint_team(), state_dir=folder) as runtime:
            run_and_wait(runtime, "prints")

    runs = list(folder.iterdir())
    assert len(runs) == 2
    for path in [folder, *runs, *(inner for run in runs for inner in run.iterdir() if inner.is_dir())]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_without_a_state_folder_it_is_the_one_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBACTORS_STATE_DIR", str(tmp_path / "state"))
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        run_and_wait(runtime, "prints")

    assert len(list((tmp_path / "state").iterdir())) == 1


def test_a_state_folder_that_cannot_be_used_is_an_error_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StateError, match="file"):
        Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path / "file")


def test_a_relative_state_folder_stays_where_it_was_when_the_host_changes_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Runtime.from_mapping(entrypoint_team(), state_dir="state") as runtime:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")

        assert "Fatal Python error" in run_and_wait(runtime, "segfaults").reason

    assert list((tmp_path / "state").iterdir())


@pytest.mark.parametrize(("standby", "at_once"), [(0, False), (1, True)])
def test_where_no_process_is_to_stand_by_nothing_is_warmed_up_before_the_second_task(
    standby: int, at_once: bool
) -> None:
    with Runtime.from_mapping(entrypoint_team(), standby=standby) as runtime:
        assert runtime._host.system._configure().for_many is at_once
