"""Files that a task has replaced: whatever stands in their place, host and siblings go on, and it is said."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from first_forms import first_always
from processes_and_waits import wait_until
from run_folders import past_run, task_row
from run_folders import subactors as command
from sources import parsed
from subactors.actors import regular_files as files
from subactors.actors.regular_files import Folder
from subactors.runtime import Runtime, StateError
from subactors.runtime.runs.folder import RunFolder, host_pid, is_live, last_sign_of_life, runs
from subactors.runtime.runs.output import OutputFiles, bound_log
from teams import PATIENCE, run_and_wait, speaking

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

NAMES: Final = (
    "replaces_its_log",
    "plants_its_next_piece",
    "replaces_its_first_piece",
    "replaces_the_lock",
    "locks_the_journal",
    "damages_the_journal",
    "echoes",
)
TEAM: Final[dict[str, Any]] = {"agents": {name: {"entrypoint": f"file_replacing_entrypoints:{name}"} for name in NAMES}}
HEAD: Final = 5000


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", max_output=2 * HEAD, standby=0) as runtime:
        assert run_and_wait(runtime, "echoes", "warm").result == "warm"
        yield runtime


def goes_on(runtime: Runtime) -> bool:
    return bool(run_and_wait(runtime, "echoes", "again").result == "again")


def run_of(runtime: Runtime) -> Path:
    return runtime._host.folder.path


# --- a live host ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_a_task_puts_in_the_place_of_its_log_holds_up_nobody(runtime: Runtime, kind: str) -> None:
    view = run_and_wait(runtime, "replaces_its_log", kind)

    assert (view.status, view.reason) == ("failed", "The task's process ended by itself with exit status 3.")
    assert goes_on(runtime)
    assert "cannot be read" in command("logs", view.id, root=run_of(runtime).parent).stderr


def test_a_log_that_was_replaced_is_made_anew_for_the_next_attempt(tmp_path: Path) -> None:
    team = {
        "agents": {
            "bad": {
                "entrypoint": "file_replacing_entrypoints:replaces_its_log",
                "restart": {"policy": "transient", "max_restarts": 2},
            }
        }
    }
    with Runtime.from_mapping(team, state_dir=tmp_path / "state", standby=0) as runtime:
        view = run_and_wait(runtime, "bad", "fifo")

    assert view.attempts > 1
    assert "exit status 3" in view.reason


@pytest.mark.parametrize("kind", ["fifo", "link", "file"])
def test_what_stands_where_a_piece_of_output_is_to_be_is_replaced_by_it(runtime: Runtime, kind: str) -> None:
    view = run_and_wait(runtime, "plants_its_next_piece", f"{kind} {HEAD}")

    assert (view.status, view.output) == ("completed", "a" * HEAD + "b" * 100)
    assert not (run_of(runtime).parent / "elsewhere").exists()
    assert goes_on(runtime)


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_output_that_was_replaced_is_missing_and_holds_up_nobody(runtime: Runtime, kind: str) -> None:
    task_id = run_and_wait(runtime, "replaces_its_first_piece", kind).id

    assert "x" not in runtime.view(task_id).output
    assert "x" not in command("view", task_id, root=run_of(runtime).parent).stdout.partition("--- Output")[2]
    assert goes_on(runtime)


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_a_lock_that_was_replaced_holds_up_neither_the_host_nor_who_looks(runtime: Runtime, kind: str) -> None:
    run_and_wait(runtime, "replaces_the_lock", kind)

    assert goes_on(runtime)
    assert command("ps", "--all", root=run_of(runtime).parent).returncode == 0
    assert not is_live(run_of(runtime))
    assert host_pid(run_of(runtime)) is None
    assert RunFolder.take_over(run_of(runtime)) is None


@pytest.mark.parametrize("how", ["transaction", "index"])
def test_a_lock_on_the_journal_is_said_and_starts_go_on(
    runtime: Runtime, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = speaking(runtime, "locks_the_journal", how)
    for _ in range(3):
        assert goes_on(runtime)
    assert "cannot be written: database is locked by process" in caplog.text
    runtime.stop(held)
    wait_until(lambda: not runtime._host.journal.failing, "the journal is written again", limit=PATIENCE)


@first_always("how", ["garbled", "deleted", "index cut", "log cut", "fifo", "folder deleted", "trigger"], keep=2)
def test_a_journal_that_a_task_damages_does_not_end_the_host(runtime: Runtime, how: str) -> None:
    assert run_and_wait(runtime, "damages_the_journal", how).status == "completed"
    for _ in range(3):
        assert goes_on(runtime)
    assert command("ps", "--all", root=run_of(runtime).parent).returncode == 0


@first_always("how", ["deleted", "fifo"])
def test_a_journal_that_was_removed_is_made_anew_with_all_that_was_in_it(
    runtime: Runtime, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = run_and_wait(runtime, "echoes", "first").id
    run_and_wait(runtime, "damages_the_journal", how)

    def is_said() -> bool:
        return goes_on(runtime) and "It has been made anew" in caplog.text

    wait_until(is_said, "the host has seen it", limit=PATIENCE)
    last = run_and_wait(runtime, "echoes", "last").id
    runtime.close()
    listed = command("ps", "--all", root=run_of(runtime).parent).stdout
    assert first in listed
    assert last in listed


def test_a_state_folder_that_is_deleted_is_said(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    run_and_wait(runtime, "damages_the_journal", "folder deleted")

    def is_said() -> bool:
        return goes_on(runtime) and "Somebody has removed or replaced the journal" in caplog.text

    wait_until(is_said, "the host has seen it", limit=PATIENCE)


# --- files that are opened ------------------------------------------------------------------------------------------


def planted(folder: Path, kind: str) -> Path:
    """Put something into a folder that is not to be opened, and return where."""
    path = folder / "planted"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            (folder / "target").write_text("precious")
            path.symlink_to(folder / "target")
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "second name":
            (folder / "target").write_text("precious")
            path.hardlink_to(folder / "target")
    return path


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "device"])
def test_what_is_not_a_regular_file_is_an_error_in_words(tmp_path: Path, kind: str) -> None:
    path = planted(tmp_path, kind)
    for opening in (files.open_to_read, files.open_to_change, files.open_to_append):
        with pytest.raises(OSError, match=r"regular file|folder|symbolic links"):
            opening(path)
    with pytest.raises(OSError, match=r"regular file|symbolic links"):
        files.check_database(path)


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_a_database_beside_which_a_fifo_stands_is_not_opened(tmp_path: Path, end: str) -> None:
    run = past_run(tmp_path, task_row(1))
    os.mkfifo(run / f"journal.sqlite{end}", 0o400)
    listed = command("ps", "--all", root=tmp_path)
    assert listed.returncode == 0
    assert f"it is not a regular file ({run}/journal.sqlite{end})" in listed.stderr


@pytest.mark.parametrize("kind", ["fifo", "link", "second name"])
def test_a_file_is_made_in_the_place_of_whatever_is_there(tmp_path: Path, kind: str) -> None:
    path = planted(tmp_path, kind)
    descriptor = files.make(path)
    os.write(descriptor, b"ours")
    os.close(descriptor)
    assert path.read_text() == "ours"
    if kind != "fifo":
        assert (tmp_path / "target").read_text() == "precious"


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_a_log_that_leads_to_another_file_is_not_cut(tmp_path: Path, kind: str) -> None:
    path = planted(tmp_path, kind)
    os.truncate(tmp_path / "target", 20_000_000)
    bound_log(str(path))
    assert (tmp_path / "target").stat().st_size == 20_000_000


def test_a_log_in_a_folder_that_is_a_link_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a.log").touch()
    os.truncate(tmp_path / "precious" / "a.log", 20_000_000)
    (tmp_path / "log").symlink_to(tmp_path / "precious")
    bound_log(f"{tmp_path}/log/a.log")
    assert (tmp_path / "precious" / "a.log").stat().st_size == 20_000_000


def test_a_folder_that_is_held_stays_what_it_was_when_another_takes_its_name(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with Folder(tmp_path / "output") as folder:
        output = OutputFiles(folder, "agent_task_1", 1000)
        (tmp_path / "output").rename(tmp_path / "moved")
        (tmp_path / "output").symlink_to(tmp_path / "elsewhere")
        output.write(b"said")
        output.close()
        assert output.text() == "said"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "moved" / "agent_task_1.0.out").read_text() == "said"
    assert OutputFiles.open(tmp_path / "output", "agent_task_1").text() == ""


def test_output_of_an_earlier_run_that_seems_to_be_enormous_is_shown_in_part(tmp_path: Path) -> None:
    path = tmp_path / "agent_task_1.0.out"
    path.touch()
    os.truncate(path, 2**40)
    (tmp_path / "agent_task_1.\N{SUPERSCRIPT TWO}.out").touch()
    (tmp_path / "agent_task_1.007.out").touch()
    assert "bytes left out here" in OutputFiles.open(tmp_path, "agent_task_1").text(1000)


# --- the state folder -----------------------------------------------------------------------------------------------


def test_a_run_that_is_a_link_is_none(tmp_path: Path) -> None:
    run = past_run(tmp_path / "other")
    root = tmp_path / "state"
    root.mkdir()
    (root / run.name).symlink_to(run)
    assert runs(root) == []


def test_a_state_folder_that_others_can_write_to_is_repaired_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "state"
    root.mkdir()
    root.chmod(0o777)
    RunFolder.create(root).release()
    assert root.stat().st_mode & 0o777 == 0o755
    assert f"Others could write to the state folder {root}" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_state_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "state"
    root.mkdir()
    os.chown(root, 65534, 65534)
    with pytest.raises(StateError, match="it belongs to another user"):
        RunFolder.create(root)


def test_signs_of_life_are_not_looked_for_behind_links(tmp_path: Path) -> None:
    run = past_run(tmp_path, said={"agent_task_00000001": b"hello"})
    before = last_sign_of_life(run)
    (tmp_path / "later").touch()
    os.utime(tmp_path / "later", (2e9, 2e9))
    (run / "output" / "agent_task_00000001.0.out").unlink()
    (run / "output" / "agent_task_00000001.0.out").symlink_to(tmp_path / "later")
    assert last_sign_of_life(run) < 2e9
    assert before < 2e9


# --- the sources ----------------------------------------------------------------------------------------------------

BY_NAME: Final = frozenset(
    {"read_text", "write_text", "read_bytes", "write_bytes", "touch", "exists", "is_file", "is_dir"}
)
"""Methods of paths that open a file, or follow a link to look at it."""

WORDS: Final = "|".join([r"\bopen\(", r"\bstat\(", r"\bconnect\(", *(rf"\b{name}\(" for name in sorted(BY_NAME))])
"""Without one of them nothing is opened."""

OTHERS: Final = {
    "actors/context/main_script.py": "the program's own script, as Python has opened it",
    "runtime/team/functions.py": "looks whether the source of a function of the program's is in a file",
    "actors/regular_files.py": "it is the one that opens files of the state folder",
    "actors/linux/cgroup.py": "the kernel's files",
    "actors/child/tracker.py": "the host's end of a pipe",
    "actors/host/tracker.py": "the kernel's links to pipes, without waiting, after a look at what they lead to",
    "runtime/control/wire.py": "a folder, by O_PATH",
    "runtime/nodes/left_sockets.py": "a folder, following no link",
    "runtime/cli/resume.py": "whether the folder of the user's is there in which a run worked",
    "runtime/cli/arguments.py": "whether there is a state folder",
    "runtime/cli/doctor.py": "the system's files, and whether there is a state folder",
    "runtime/runs/journal_guard.py": "SQLite's connection to a journal, after a check",
    "runtime/runs/reader.py": "the same",
    "runtime/team/lacks.py": "whether the user's folders are there",
    "runtime/team/mcp_definition.py": "whether the user's folders are there",
    "runtime/vitals/proc.py": "the kernel's files",
    "runtime/nodes/code.py": "whether what is in the user's folder is a folder, without following",
    "runtime/nodes/memory.py": "the kernel's files",
    "runtime/nodes/ray_starter.py": "the kernel's files",
    "runtime/nodes/tls.py": "the user's certificates and key, which Ray reads as well",
    "runtime/nodes/tls_lines.py": "a folder, by O_PATH",
    "runtime/nodes/ray_driver.py": "its standard input, by a descriptor",
    "runtime/agent/prompt.py": "whether the user's folders are there",
    "runtime/agent/prompt_files.py": "whether the user's file, or what a link leads to, is there",
    "runtime/cli/readiness.py": "whether the user's folders are there",
    "runtime/cli/completion.py": "whether a word of a command line is the user's file",
    "runtime/cli/write_team.py": "the user's new files, and whether there are such already",
    "runtime/cli/bench_run.py": "the user's picture, and whether its folder is there",
    "runtime/cli/timeline.py": "the user's picture",
    "runtime/cli/help.py": "none: `write_text` of click's",
    "runtime/bench/looks.py": "the kernel's files",
    "runtime/bench/report.py": "the user's report of an earlier benchmark",
    "runtime/team/requirements.py": "whether the user's folders are there",
    "runtime/host.py": "whether the user's folder is there",
    "runtime/vitals/shared_memory.py": "the kernel's links to what is open or mapped in memory",
    "runtime/runs/folder.py": "whose the state folder is, to which a link may lead",
    "runtime/teamfile/load.py": "the user's file, which may be a pipe: without waiting",
    "runtime/terminal/streams.py": "standard input",
    "runtime/runs/workdir.py": "in a task's process, or without following or waiting",
    "runtime/runs/worktrees.py": "in a folder of the host's own making, or whether something is there",
    "runtime/demo/__init__.py": "a file of the package",
    "runtime/dashboard/server.py": "the files of the page, which are in the package",
    "runtime/toolsets/shell/command.py": "whether a task's folder is there",
    "runtime/toolsets/filesystem/files.py": "in a task's process, without following or waiting",
    "runtime/toolsets/filesystem/folders.py": "the same",
    "runtime/toolsets/filesystem/git_guard.py": "the same",
    "runtime/toolsets/memory.py": "SQLite's connection to a task's memory, after a check",
    "runtime/toolsets/filesystem/search.py": "in a task's process, without following or waiting",
    "runtime/toolsets/filesystem/search_program.py": "the same",
}
"""What opens files, or looks at them, by other means, and which files these are."""


def is_of_the_system(call: ast.Call) -> bool:
    """Whether a call names a file of the kernel's: nobody replaces those."""
    names = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "os.devnull" in ast.unparse(call) or any(
        name == "/" or name.startswith(("/proc/", "/dev/")) for name in names
    )


def opens_by_name(call: ast.Call) -> bool:
    """Whether a call opens a file by its name, or follows a link."""
    match call.func:
        case ast.Name("open"):
            return True
        case ast.Attribute(ast.Name("os"), "open" | "stat") | ast.Attribute(ast.Name("sqlite3"), "connect"):
            return True
        case ast.Attribute(_, "stat"):
            return not any(keyword.arg == "follow_symlinks" for keyword in call.keywords)
        case ast.Attribute(value, "open"):
            return isinstance(value, ast.Call)  # Path(...).open(); other things that open are objects of ours
        case ast.Attribute(_, name):
            return name in BY_NAME
    return False


def test_files_are_opened_by_the_one_module_that_does_it_safely() -> None:
    package = Path(files.__file__).parents[1]
    found = {
        str(path.relative_to(package))
        for path, nodes in parsed(package / "actors", package / "runtime", words=WORDS)
        if any(isinstance(node, ast.Call) and opens_by_name(node) and not is_of_the_system(node) for node in nodes)
    }
    assert found - OTHERS.keys() == set(), "use actors/regular_files.py, or say here which files these are"
    assert OTHERS.keys() - found == set(), "these do not any more"
