"""Worktrees of tasks that mean harm: nothing that they leave starts a program in a host, or takes others' work away."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from git_repositories import IDENTITY, git, new_repository
from processes_and_waits import wait_until
from subactors.runtime import Runtime
from subactors.runtime.runs.workdir import Hurry, worktree_folder
from subactors.runtime.runs.worktree_keeper import WorktreeKeeper
from subactors.runtime.runs.worktrees import sweep, tidy
from teams import model, plan, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = new_repository(tmp_path / "repository", "file")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves a file behind, and nothing else, when it is run."""
    program = tmp_path / "trap"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    program.chmod(0o755)
    return program


def sprung(trap: Path) -> bool:
    return trap.with_name("sprung").exists()


def team(*toolsets: dict[str, Any]) -> dict[str, Any]:
    return {"agents": {"worker": model("follows_a_plan", workdir="worktree", toolsets=list(toolsets))}}


def worktree_after(state: Path, command: str) -> Path:
    """Have a task run a command in its worktree; return where that was, once the host has closed."""
    with Runtime.from_mapping(team({"type": "shell"}), state_dir=state, standby=0) as runtime:
        view = run_and_wait(runtime, "worker", plan([["shell", {"cmd": f"pwd; {command}"}]], "answers"))
        assert view.status == "completed", view.reason
        return Path(json.loads(view.result)[0].splitlines()[0])


PROGRAMS_OF_THE_CONFIGURATION = {
    "a monitor": "[core]\\nfsmonitor = TRAP\\n",
    "a folder of hooks": "[core]\\nhooksPath = HOOKS\\n",
    "a pager": "[core]\\npager = TRAP\\n[pager]\\nstatus = TRAP\\nrev-list = TRAP\\nbranch = TRAP\\n",
    "another diff": "[diff]\\nexternal = TRAP\\n",
    "aliases": '[alias]\\nstatus = \\"!TRAP\\"\\nrev-list = \\"!TRAP\\"\\nrev-parse = \\"!TRAP\\"\\n',
    "a signature's program": "[gpg]\\nprogram = TRAP\\n[log]\\nshowSignature = true\\n",
    "an included file": "[include]\\npath = INCLUDED\\n",
    "a way to fetch what is missing": (
        '[extensions]\\npartialClone = evil\\n[remote \\"evil\\"]\\npromisor = true\\nurl = ext::TRAP\\n'
        '[protocol \\"ext\\"]\\nallow = always\\n'
    ),
}


@first_always("given", PROGRAMS_OF_THE_CONFIGURATION.values(), keep=2, ids=PROGRAMS_OF_THE_CONFIGURATION)
def test_no_program_of_a_repositorys_configuration_runs(
    repository: Path, state: Path, trap: Path, tmp_path: Path, given: str
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-index-change", "post-checkout"):
        (hooks / name).symlink_to(trap)
    included = tmp_path / "included"
    included.write_text(f"[core]\nfsmonitor = {trap}\n")
    text = given.replace("TRAP", str(trap)).replace("HOOKS", str(hooks)).replace("INCLUDED", str(included))
    folder = worktree_after(state, f'printf "{text}" >> {repository}/.git/config; touch file')
    sweep(state)
    assert not sprung(trap)
    assert not folder.exists()


def test_no_hook_of_the_repository_runs_when_a_worktree_is_made_or_removed(
    repository: Path, state: Path, trap: Path
) -> None:
    for name in ("reference-transaction", "post-index-change", "post-checkout"):
        (repository / ".git" / "hooks").mkdir(exist_ok=True)
        (repository / ".git" / "hooks" / name).symlink_to(trap)
    assert not worktree_after(state, "true").exists()
    assert not sprung(trap)


@pytest.mark.parametrize("attributes", [".git/info/attributes", "WORKTREE/.gitattributes"])
def test_no_filter_of_the_configuration_runs_over_changed_files(
    repository: Path, state: Path, trap: Path, attributes: str
) -> None:
    place = attributes.replace("WORKTREE", ".").replace(".git/", f"{repository}/.git/", 1)
    program = f"clean = {trap}\\nprocess = {trap}\\nrequired = true\\n"
    text = f'[filter \\"x\\"]\\n{program}[diff \\"x\\"]\\ntextconv = {trap}\\n'
    folder = worktree_after(
        state, f'printf "{text}" >> {repository}/.git/config; echo "* filter=x diff=x" > {place}; echo more >> file'
    )
    sweep(state)
    assert not sprung(trap)
    assert (folder / "file").read_text() == "first\nmore\n"


FORGED = {
    "another folder of git": "rm .git; git init --quiet x; printf '[core]\\nfsmonitor = TRAP\\n' >> x/.git/config; "
    "echo 'gitdir: x/.git' > .git",
    "a repository in its place": "rm .git; git init --quiet; printf '[core]\\nfsmonitor = TRAP\\n' >> .git/config",
    "a link to the same file": "mv .git other; ln -s other .git",
    "a pipe": "rm .git; mkfifo .git",
    "the same with a line more": "echo >> .git",
    "nothing": "rm .git",
}


@first_always("command", FORGED.values(), keep=2, ids=FORGED)
def test_a_worktree_whose_git_file_is_another_is_kept_and_said(
    repository: Path, state: Path, trap: Path, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    folder = worktree_after(state, command.replace("TRAP", str(trap)))
    assert f"The worktree {folder} is kept: " in caplog.text
    sweep(state)
    assert not sprung(trap)
    assert (folder / "file").exists()
    assert folder.name in git(repository, "branch", "--list", "subactors/*")


@pytest.mark.parametrize("allow_git", [False, True])
def test_an_agent_with_nothing_but_file_tools_has_no_program_started(
    repository: Path, state: Path, trap: Path, caplog: pytest.LogCaptureFixture, allow_git: bool
) -> None:
    assert repository.exists()
    forged = [
        [["create_directory", {"paths": ["x/objects", "x/refs/heads"]}]],
        [
            ["write_file", {"path": "x/HEAD", "content": "ref: refs/heads/main\n"}],
            ["write_file", {"path": "x/config", "content": f"[core]\n\tworktree = ..\n\tfsmonitor = {trap}\n"}],
        ],
        [["write_file", {"path": ".git", "content": "gitdir: x\n"}]],
    ]
    toolset = {"type": "filesystem", "allow_git": allow_git}
    with Runtime.from_mapping(team(toolset), state_dir=state, standby=0) as runtime:
        view = run_and_wait(runtime, "worker", plan(*forged, "answers"))
        assert view.status == "completed", view.reason
    sweep(state)
    assert not sprung(trap)
    assert Path(view.workdir, "x", "objects").exists()
    assert (".git is gone, or is not the file" in caplog.text) is allow_git
    assert ("`allow_git: true`" in view.result) is not allow_git


def test_git_never_looks_into_a_submodule_that_a_task_has_made(repository: Path, state: Path, trap: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    commands = (
        "git init --quiet sub",
        f"git update-index --add --cacheinfo 160000,{commit},sub",
        f"git {' '.join(IDENTITY)} commit --quiet -m Sub",
        "git branch other",
        f"cp -r {repository}/.git/objects sub/.git/",
        f"echo {commit} > sub/.git/HEAD",
        f"printf '[core]\\nfsmonitor = {trap}\\n' >> sub/.git/config",
    )
    command = " && ".join(commands)
    folder = worktree_after(state, command)
    sweep(state)
    assert not sprung(trap)
    assert (folder / "sub" / ".git").exists()


@first_always(
    "command",
    [
        "rm -r $(git rev-parse --git-dir)",
        "echo ../../../elsewhere > $(git rev-parse --git-dir)/gitdir",
        "echo garbage > $(git rev-parse --git-dir)/HEAD",
        "d=$(git rev-parse --git-dir); rm $d/index; mkfifo $d/index",
        "d=$(git rev-parse --git-dir); echo DIRC > $d/index",
    ],
    keep=2,
)
def test_a_worktree_whose_administration_is_damaged_is_kept(repository: Path, state: Path, command: str) -> None:
    assert repository.exists()
    folder = worktree_after(state, command)
    sweep(state)
    assert (folder / "file").exists()


@first_always("file", ["HEAD", "$(cat $d/commondir)/config", "$(cat $d/commondir)/packed-refs"])
def test_a_pipe_in_place_of_a_file_that_git_reads_holds_it_up_no_longer_than_a_moment(
    repository: Path, state: Path, caplog: pytest.LogCaptureFixture, file: str
) -> None:
    assert repository.exists()
    command = f"d=$(git rev-parse --git-dir); cd $d; d=.; rm -f {file}; mkfifo {file}"
    folder = worktree_after(state, command)
    assert (folder / "file").exists()
    assert "waited for something other than a file, and was ended" in caplog.text


def test_a_link_in_place_of_a_worktree_leads_to_nothing_being_removed(
    repository: Path, state: Path, tmp_path: Path
) -> None:
    assert repository.exists()
    precious = tmp_path / "precious"
    folder = worktree_after(state, f"cd ..; w=$(ls -d agent_*); mv $w {precious}; ln -s {precious} $w")
    sweep(state)
    assert folder.is_symlink()
    assert (precious / "file").exists()


def test_a_lock_that_somebody_holds_does_not_hold_up_the_host(repository: Path, state: Path) -> None:
    descriptor = os.open(repository / ".git" / "subactors.lock", os.O_RDWR | os.O_CREAT, 0o600)
    hurry = Hurry()
    with Runtime.from_mapping(team({"type": "shell"}), state_dir=state, standby=0) as runtime:
        view = run_and_wait(runtime, "worker", plan([["shell", {"cmd": "pwd; touch new"}]], "answers"))
    folder = Path(json.loads(view.result)[0].strip())
    (folder / "new").unlink()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        hurry.begin(1.0)
        assert not tidy(folder, hurry)
    finally:
        os.close(descriptor)
    assert (folder / "file").exists()
    assert tidy(folder)


def test_the_settings_of_a_repository_that_change_how_files_look_count(repository: Path, state: Path) -> None:
    git(repository, "config", "core.autocrlf", "true")
    git(repository, "config", "core.fileMode", "false")
    assert not worktree_after(state, "sleep 0.01; touch file; chmod +x file; cat file").exists()


def test_what_a_person_has_git_ignore_everywhere_does_not_keep_a_worktree(
    repository: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignored\n")
    (home / "ignored").write_text("*.swp\n")
    monkeypatch.setenv("HOME", str(home))
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "exclude").write_text("*.log\n")
    assert not worktree_after(state, "touch a.swp b.log c.o").exists()


def test_a_worktree_of_a_shallow_repository_is_removed(
    repository: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Second")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    assert not worktree_after(state, "true").exists()


def test_a_worktree_of_a_repository_with_long_ids_is_removed(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "long"
    git(tmp_path, "init", "--quiet", "--object-format=sha256", "long")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "First")
    monkeypatch.chdir(folder)
    assert not worktree_after(state, "true").exists()


def test_a_tree_deeper_than_python_goes_is_removed_with_its_worktree(repository: Path, state: Path) -> None:
    assert repository.exists()
    dig = "import os; os.mkdir('deep.o'); os.chdir('deep.o'); [(os.mkdir('d'), os.chdir('d')) for _ in range(3000)]"
    try:
        folder = worktree_after(state, f'python3 -c "{dig}"')
        sweep(state)  # what the host had no time left for, on a machine that is at its limit
        assert not folder.exists()
        assert not (state / "worktrees").exists()
    finally:
        subprocess.run(["/bin/rm", "-rf", state], check=True)  # pytest could not


def test_a_task_that_is_started_again_does_not_go_on_in_a_forged_worktree(repository: Path, state: Path) -> None:
    assert repository.exists()
    mapping = team({"type": "shell"})
    mapping["agents"]["worker"]["restart"] = {"policy": "transient", "max_restarts": 1}
    command = "rm .git; git init --quiet; kill -9 $PPID"
    with Runtime.from_mapping(mapping, state_dir=state, standby=0) as runtime:
        view = run_and_wait(runtime, "worker", plan([["shell", {"cmd": command}]], "answers"))
    assert view.status == "failed"
    assert "its .git is not what git has written" in view.reason


def test_a_closing_host_leaves_the_worktrees_it_has_no_time_for_to_the_next(
    repository: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repository.exists()
    monkeypatch.setattr("subactors.runtime.runs.worktree_keeper._CLOSING", 0.0)
    with Runtime.from_mapping(team({"type": "shell"}), state_dir=state, standby=0) as runtime:
        runtime._host.worktrees.hurry_up()
        view = run_and_wait(runtime, "worker", plan([["shell", {"cmd": "pwd"}]], "answers"))
        folder = Path(json.loads(view.result)[0].strip())
    assert folder.exists()
    sweep(state)
    wait_until(lambda: not os.path.lexists(folder), "the worktree is removed")


def test_a_worktree_that_ends_while_no_thread_is_left_is_looked_at_with_the_next(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (worktree_folder(state / "run_1", name) for name in "ab")
    for folder in (first, second):
        folder.mkdir(parents=True)

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    keeper = WorktreeKeeper()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        keeper.ended(first)
    keeper.ended(second)
    keeper.hurry_up()
    keeper.close()
    assert not first.exists()
    assert not second.exists()
