"""Places that a program or a command gives: executors, `run` and `dispatch` have tasks run there."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from run_folders import subactors
from ssh_server import needs_sshd, ssh_place
from subactors.runtime import AsyncRuntime, RunError, Runtime
from subactors.runtime.team.places import SshPlace
from teams import PATIENCE

pytestmark = [needs_sshd, pytest.mark.usefixtures("warm_commands")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshPlace]:
    """One node."""
    with ssh_place(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def team(lab: SshPlace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A team file with that place, whose agents run on this machine unless something else is said."""
    file = tmp_path_factory.mktemp("team") / "team.yaml"
    file.with_name("where.py").write_text("def am_i(task):\n    return __file__\n")
    agents = {name: {"entrypoint": "where:am_i"} for name in ("root", "other")}
    place = {name: value for name, value in msgspec.to_builtins(lab).items() if value and name != "name"}
    file.write_text(json.dumps({"agents": agents, "runtime": {"standby": 0, "places": {lab.name: place}}}))
    return file


def agents_and_nodes(state: Path) -> list[tuple[str, str]]:
    """Which agents have run on which nodes, as the journals have it."""
    lines = subactors("ps", "--all", "--json", root=state).stdout.splitlines()
    return [(task["agent"], task["node"]) for task in map(json.loads, lines)]


def test_an_executor_calls_functions_at_the_place_that_it_is_given(lab: SshPlace, tmp_path: Path) -> None:
    with Runtime(standby=0, places=[lab], state_dir=tmp_path) as runtime, runtime.group() as group:
        executors = [runtime.executor(place=lab.name), group.executor(1, place=lab.name), runtime.executor()]
        futures = [executor.submit(os.path.join, "a", str(number)) for number, executor in enumerate(executors)]
        assert [future.result(PATIENCE) for future in futures] == ["a/0", "a/1", "a/2"]
        nodes = [view.node for view in runtime.list()]

    assert sorted(nodes) == sorted([lab.hosts[0], lab.hosts[0], ""])


def test_a_task_without_a_place_runs_at_that_of_the_task_that_it_is_to_be_near(lab: SshPlace) -> None:
    with Runtime(standby=0, places=[lab]) as runtime:
        there, here = runtime.submit(len, "x", place=lab.name), runtime.submit(len, "x")
        tasks = [
            runtime.submit(len, "x", near=there),
            runtime.submit(len, "x", near=here),
            runtime.submit(len, "x", near=there, place=""),
        ]
        assert [task.result(PATIENCE) for task in tasks] == [1, 1, 1]
        assert [task.view().node for task in tasks] == [lab.hosts[0], "", ""]


def test_a_place_that_is_named_for_a_task_wins_over_that_of_the_task_that_it_is_to_be_near(lab: SshPlace) -> None:
    team = {"agents": {"where": {"entrypoint": "node_entrypoints:tells_where", "place": lab.name}}}
    with Runtime.from_mapping(team, standby=0, places=[lab]) as runtime:
        here = runtime.submit(len, "x")
        task = runtime.run("where", "go", near=here)
        task.result(PATIENCE)
        assert task.view().node == lab.hosts[0]


def in_program(place: SshPlace, folder: Path, *, is_file: bool) -> str:
    """What becomes of a task at a place whose function is of a module beside the program."""
    (folder / "helper.py").write_text("def work():\n    return __file__\n")
    source = (
        "import helper, msgspec\n"
        "from subactors.runtime import Runtime, SshPlace\n"
        f"place = msgspec.json.decode({msgspec.json.encode(place)!r}, type=SshPlace)\n"
        "with Runtime(standby=0, places=[place]) as runtime:\n"
        f"    (view,) = runtime.wait([runtime.submit(helper.work, place=place.name)], timeout={PATIENCE})\n"
        "    print(view.result or view.reason)\n"
    )
    (folder / "program.py").write_text(source)
    command = [sys.executable, *(["program.py"] if is_file else ["-c", source])]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=2 * PATIENCE, check=True).stdout


def test_the_modules_beside_a_program_are_sent_to_its_nodes(lab: SshPlace, tmp_path: Path) -> None:
    said = in_program(lab, tmp_path, is_file=True)

    assert said.startswith(f"{lab.folder}/")
    assert said.endswith("/helper.py\n")


def test_a_task_that_lacks_a_module_on_a_node_says_what_is_sent_and_what_to_do(lab: SshPlace, tmp_path: Path) -> None:
    said = in_program(lab, tmp_path, is_file=False)

    assert said.startswith(f"ModuleNotFoundError: No module named 'helper'\nNode {lab.hosts[0]} has what is installed")
    assert said.endswith("Put the module beside a team file, or install it on the node.\n")


def test_an_executor_for_event_loops_calls_functions_at_the_place_that_it_is_given(lab: SshPlace) -> None:
    async def main() -> tuple[Any, list[str]]:
        async with AsyncRuntime(standby=0, places=[lab]) as runtime, runtime.group() as group:
            loop = asyncio.get_running_loop()
            executors = [runtime.executor(place=lab.name), group.executor(place=lab.name)]
            lengths = [await loop.run_in_executor(executor, len, "xyz") for executor in executors]
            return lengths, [view.node for view in await runtime.list()]

    assert asyncio.run(main()) == ([3, 3], [lab.hosts[0]] * 2)


def test_an_executor_of_a_place_that_there_is_not_says_so_with_each_future() -> None:
    with Runtime(standby=0) as runtime:
        with pytest.raises(RunError, match="There is no place 'lab'"):
            runtime.executor(place="lab").submit(len, "x").result(PATIENCE)
        with pytest.raises(TypeError, match="place is of type int; it must be the name of a place"):
            runtime.executor(place=3)  # type: ignore[arg-type]  # that is what is tested


def test_the_keyword_of_a_function_that_is_called_place_is_the_function_s_own(lab: SshPlace) -> None:
    with Runtime(standby=0, places=[lab]) as runtime:
        assert runtime.executor(place="").submit(dict, place="here").result(PATIENCE) == {"place": "here"}


def test_a_run_has_its_root_at_the_place_that_the_command_names(team: Path, lab: SshPlace, tmp_path: Path) -> None:
    there = subactors("run", team, "go", "--place", lab.name, root=tmp_path / "there")
    here = subactors("run", team, "go", root=tmp_path / "here")

    assert (there.returncode, here.returncode) == (0, 0), there.stderr + here.stderr
    assert agents_and_nodes(tmp_path / "there") == [("root", lab.hosts[0])]
    assert agents_and_nodes(tmp_path / "here") == [("root", "")]


def test_dispatch_has_each_task_at_the_place_that_the_command_names(team: Path, lab: SshPlace, tmp_path: Path) -> None:
    done = subactors("dispatch", team, "other", "a", "b", "--place", lab.name, root=tmp_path)

    assert done.returncode == 0, done.stderr
    assert agents_and_nodes(tmp_path) == [("other", lab.hosts[0])] * 2


def test_a_command_that_names_a_place_that_there_is_not_is_told_the_nearest(team: Path, tmp_path: Path) -> None:
    for words in (("run", team, "go"), ("dispatch", team, "other", "a")):
        done = subactors(*words, "--place", "lap", root=tmp_path)

        assert done.returncode == 2
        assert "There is no place 'lap'. Did you mean 'lab'? Places: lab." in " ".join(done.stderr.split())


def test_a_package_a_folder_and_a_file_of_a_place_are_found_on_its_nodes(lab: SshPlace, tmp_path: Path) -> None:
    for name in ("apart/tables/__init__.py", "apart/library/rates.py", "apart/prices.py", "team/work.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "team" / "work.py").write_text(
        "def found(task):\n"
        "    import prices, rates, tables\n"
        "    return [module.__file__ for module in (prices, rates, tables)]\n"
    )
    (tmp_path / "team" / "team.yaml").write_text("agents: {root: {entrypoint: 'work:found'}}\n")
    modules = tuple(str(tmp_path / "apart" / name) for name in ("tables", "library", "prices.py"))
    place = msgspec.structs.replace(lab, py_modules=modules)
    with Runtime.from_file(tmp_path / "team" / "team.yaml", standby=0, places=[place], place=lab.name) as runtime:
        view = runtime.wait([runtime.run("root", "go")], timeout=PATIENCE)[0]

    assert view.status == "completed", view.reason
    found = [Path(name) for name in view.result]
    assert [path.name for path in found] == ["prices.py", "rates.py", "__init__.py"]
    assert not [path for path in found if path.is_relative_to(tmp_path)]
