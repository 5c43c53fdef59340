"""Working directories: the runtime's, and folders and git worktrees that tasks have to themselves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from git_repositories import IDENTITY, git, new_repository
from processes_and_waits import wait_until
from run_folders import python, subactors
from subactors.runtime import RequirementError, Runtime, TaskView
from subactors.runtime.runs.worktrees import sweep
from teams import entrypoint, model, plan, run_and_wait, wait_until_running

pytestmark = pytest.mark.usefixtures("warm_commands", "zygote_for_tasks")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit, and a folder in it; the current directory."""
    folder = new_repository(tmp_path / "repository", "inner/file")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def team(workdir: str, **more: Any) -> dict[str, Any]:
    return {"agents": {"worker": model("follows_a_plan", workdir=workdir, toolsets=[{"type": "shell"}], **more)}}


def shell(command: str) -> str:
    return plan([["shell", {"cmd": command}]], "answers")


def did(runtime: Runtime, command: str) -> tuple[str, TaskView]:
    """Run a command as a task; return what it printed, and the task."""
    view = run_and_wait(runtime, "worker", shell(command))
    assert view.status == "completed", view.reason
    return json.loads(view.result)[0], view


def gone(path: Path) -> Callable[[], bool]:
    return lambda: not path.exists()


def test_tasks_work_in_the_current_directory_of_their_start(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Runtime.from_mapping(team("shared"), state_dir=state, standby=0) as runtime:
        monkeypatch.chdir(tmp_path)
        printed, view = did(runtime, "pwd")
    assert printed == str(tmp_path)
    assert view.workdir == ""


def test_tasks_and_orchestrators_work_in_the_runtimes_working_directory(state: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with Runtime.from_mapping(team("shared"), state_dir=state, working_dir=folder, standby=0) as runtime:
        assert did(runtime, "pwd")[0] == str(folder)
        with runtime.toolset("worker") as toolset:
            assert toolset.call("shell", '{"cmd": "pwd"}').text == str(folder)


def test_a_working_directory_that_is_no_folder_is_refused(state: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="which is not a folder"):
        Runtime.from_mapping(team("shared"), state_dir=state, working_dir=tmp_path / "nowhere")


def test_the_command_line_takes_a_working_directory(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(json.dumps(team("shared")))
    tests = Path(__file__).parents[2] / "kit"
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tests))
        done = subactors("dispatch", file, "worker", shell("pwd"), "--working-dir", folder, root=state)
        wrong = subactors("dispatch", file, "worker", shell("pwd"), "--working-dir", tmp_path / "no", root=state)
    assert str(folder) in done.stdout
    assert wrong.returncode == 2


def test_a_private_folder_is_new_for_each_task_and_stays_with_the_run(state: Path) -> None:
    with Runtime.from_mapping(team("private"), state_dir=state, standby=0) as runtime:
        first, one = did(runtime, "pwd; ls; touch mine")
        second, other = did(runtime, "pwd; ls")
        assert first.strip() == one.workdir
        assert second.strip() == other.workdir
        assert one.workdir != other.workdir
        assert f"Works in: {one.workdir}" in runtime_view(runtime, one)
    assert Path(one.workdir, "mine").exists()
    assert Path(one.workdir).is_relative_to(state)
    assert json.loads(subactors("view", one.id, "--json", root=state).stdout)["workdir"] == one.workdir
    assert one.workdir in subactors("view", one.id, root=state).stdout


def runtime_view(runtime: Runtime, view: TaskView) -> str:
    from subactors.runtime.tasks.wording import describe_view  # noqa: PLC0415 - for one test

    return describe_view(runtime.view(view.id), 10_000)


def test_a_function_that_is_an_agent_finds_itself_in_its_folder(state: Path) -> None:
    agents = {"agents": {"worker": entrypoint("where_it_works", workdir="private")}}
    with Runtime.from_mapping(agents, state_dir=state, standby=0) as runtime:
        view = run_and_wait(runtime, "worker")
    assert view.result == view.workdir


def test_what_is_remembered_outlives_a_folder_of_ones_own(state: Path, tmp_path: Path) -> None:
    mapping = team("private")
    mapping["agents"]["worker"]["toolsets"].append({"type": "memory", "path": "notes.db"})
    with Runtime.from_mapping(mapping, state_dir=state, working_dir=tmp_path, standby=0) as runtime:
        run_and_wait(runtime, "worker", plan([["add_memory", {"memory": "x"}]], "answers"))
    assert (tmp_path / "notes.db").exists()


def test_a_worktree_without_changes_is_removed_with_its_branch(repository: Path, state: Path) -> None:
    with Runtime.from_mapping(team("worktree"), state_dir=state, standby=0) as runtime:
        printed, view = did(runtime, "pwd; git branch --show-current; cat inner/file; touch built.o")
        folder, branch, text = printed.splitlines()
        assert Path(folder).is_relative_to(state)
        assert (branch, text) == (f"subactors/{view.id}", "first")
        wait_until(gone(Path(folder)), "the worktree is removed")
        assert runtime.view(view.id).workdir == ""
        assert runtime.list()[0].workdir == ""
    assert git(repository, "branch", "--format", "%(refname:short)") == "main"
    assert git(repository, "worktree", "list").count("\n") == 0
    assert not (state / "worktrees").exists()


@first_always(
    "change",
    [
        "echo more >> inner/file",
        "touch new",
        "rm inner/file",
        f"echo more >> inner/file; git {' '.join(IDENTITY)} commit --quiet -am Second",
        f"git checkout --quiet --detach; touch new; git add new; git {' '.join(IDENTITY)} commit --quiet -m Second",
    ],
    keep=2,
)
def test_a_worktree_with_changes_is_kept_with_its_branch(repository: Path, state: Path, change: str) -> None:
    with Runtime.from_mapping(team("worktree"), state_dir=state, standby=0) as runtime:
        _, view = did(runtime, change)
    assert Path(view.workdir, ".git").exists()
    assert f"subactors/{view.id}" in git(repository, "branch", "--format", "%(refname:short)")
    shown = subactors("view", view.id, root=state).stdout
    assert f"{view.workdir} (git worktree, branch subactors/{view.id})" in shown
    sweep(state)
    assert Path(view.workdir, ".git").exists()


def test_commits_that_another_branch_has_do_not_keep_a_worktree(repository: Path, state: Path) -> None:
    commit = f"touch new; git add new; git {' '.join(IDENTITY)} commit --quiet -m Second; git branch other"
    with Runtime.from_mapping(team("worktree"), state_dir=state, standby=0) as runtime:
        _, view = did(runtime, commit)
        wait_until(lambda: not runtime.view(view.id).workdir, "the worktree is removed")
    assert git(repository, "log", "--format=%s", "other").splitlines() == ["Second", "First"]


def test_a_task_starts_in_the_same_folder_of_its_worktree(
    repository: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / "inner")
    with Runtime.from_mapping(team("worktree"), state_dir=state, standby=0) as runtime:
        assert did(runtime, "pwd; ls")[0].endswith("/inner\nfile")


def test_the_variables_of_a_git_hook_lead_nobody_astray(
    repository: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(repository / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", "nothing")
    with Runtime.from_mapping(team("worktree"), state_dir=state, standby=0) as runtime:
        printed, view = did(runtime, "git rev-parse --show-toplevel")
        assert view.id in printed
        wait_until(lambda: not runtime.view(view.id).workdir, "the worktree is removed")


def test_many_worktrees_at_once_are_made_and_removed(repository: Path, state: Path) -> None:
    with Runtime.from_mapping(team("worktree"), state_dir=state, standby=0) as runtime:
        tasks = [runtime.run("worker", shell("git branch --show-current")) for _ in range(8)]
        views = runtime.wait(tasks, timeout=60)
    assert [json.loads(view.result)[0].strip() for view in views] == [f"subactors/{task}" for task in tasks]
    assert git(repository, "branch", "--format", "%(refname:short)") == "main"


def test_the_worktree_of_a_task_that_is_killed_is_removed(repository: Path, state: Path) -> None:
    agents = {"agents": {"worker": entrypoint("waits", workdir="worktree")}}
    with Runtime.from_mapping(agents, state_dir=state, stop_grace=0.5, standby=0) as runtime:
        task_id = runtime.run("worker", "go")
        view = wait_until_running(runtime, task_id)
        wait_until(lambda: runtime.view(task_id).workdir, "there is a worktree")
        assert view.pid is not None
        os.kill(view.pid, signal.SIGKILL)
        runtime.wait([task_id], timeout=30)
        wait_until(lambda: not runtime.view(task_id).workdir, "the worktree is removed")
    assert git(repository, "branch", "--format", "%(refname:short)") == "main"


def test_a_worktree_that_git_was_still_making_is_removed(repository: Path, state: Path) -> None:
    path = state / "worktrees" / "run_gone" / "agent_task_1"
    path.parent.mkdir(parents=True)
    git(repository, "worktree", "add", "--quiet", "-b", "subactors/agent_task_1", str(path))
    git(repository, "worktree", "lock", "--reason", "initializing", str(path))
    path.with_name(".agent_task_1.json").write_text(json.dumps({"repository": str(repository / ".git"), "link": ""}))
    (path / "inner" / "file").unlink()
    sweep(state)
    assert not (state / "worktrees").exists()
    assert git(repository, "branch", "--format", "%(refname:short)") == "main"


def test_the_worktrees_of_a_host_that_died_are_looked_at_by_the_next_one(repository: Path, state: Path) -> None:
    code = """\
import json, sys, time
from subactors.runtime import Runtime
runtime = Runtime.from_mapping(json.loads(sys.argv[1]), state_dir=sys.argv[2])
task = runtime.run("worker", "go")
while not (view := runtime.view(task)).output:
    time.sleep(0.01)
print(view.workdir, flush=True)
time.sleep(600)
"""
    agents = {"agents": {"worker": entrypoint("waits", workdir="worktree")}}
    host = python(code, json.dumps(agents), state)
    assert host.stdout is not None
    folder = Path(host.stdout.readline().strip())
    assert folder.is_dir()
    host.kill()
    host.communicate()
    with Runtime.from_mapping(agents, state_dir=state):
        wait_until(gone(folder), "the worktree is removed")
    assert git(repository, "branch", "--format", "%(refname:short)") == "main"


@pytest.mark.parametrize(
    ("other", "answer"),
    [
        (entrypoint("echo", workdir="private"), "answered"),
        # Whoever reads that needs the file's own name. Nobody else is worse off for it.
        ({"entrypoint": "returning_entrypoints:rows"}, "surrogates not allowed"),
    ],
    ids=["folder", "result file"],
)
def test_a_state_folder_whose_name_is_no_text_ends_nothing(other: Any, answer: str, tmp_path: Path) -> None:
    waits = {"model": "python/unfair_models:waits_for_one", "sub_agents": ["other"]}
    with Runtime.from_mapping(
        {"agents": {"waits": waits, "other": other}}, state_dir=tmp_path / os.fsdecode(b"state\xff"), standby=0
    ) as runtime:
        assert answer in run_and_wait(runtime, "waits").result
        assert [view.status for view in runtime.list()] == ["completed"] * 2


def test_a_worktree_needs_a_repository(state: Path, tmp_path: Path) -> None:
    with (
        Runtime.from_mapping(team("worktree"), state_dir=state, working_dir=tmp_path, standby=0) as runtime,
        pytest.raises(RequirementError, match="needs a git repository"),
    ):
        runtime.run("worker", "x")


def test_a_worktree_needs_git(repository: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repository.exists()
    monkeypatch.setenv("PATH", "/nowhere")
    with (
        Runtime.from_mapping(team("worktree"), state_dir=state, standby=0) as runtime,
        pytest.raises(RequirementError, match="needs git"),
    ):
        runtime.run("worker", "x")


def test_a_repository_without_a_commit_fails_the_task_with_what_git_says(state: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "fresh")
    with Runtime.from_mapping(team("worktree"), state_dir=state, working_dir=tmp_path / "fresh", standby=0) as runtime:
        view = run_and_wait(runtime, "worker", shell("true"))
    assert view.status == "failed"
    assert "git worktree could not be made" in view.reason
