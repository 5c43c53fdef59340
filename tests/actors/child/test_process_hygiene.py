"""What an actor's process has and what it has not: session, descriptors, signals, limits, the host's environment."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from actor_classes import Echo, Worker
from process_listeners import Started
from processes_and_waits import wait_until
from subactors.actors import ProcessSystem, SubactorsError

PATIENCE = 30.0

pytestmark = pytest.mark.usefixtures("system")


def ask(method: str, *args: Any) -> Any:
    """Return what a method answers in a fresh actor's process."""
    actor = Worker.start()
    try:
        return getattr(actor.proxy(), method)(*args).get(timeout=PATIENCE)
    finally:
        actor.stop()


def test_a_process_has_a_session_and_a_group_of_its_own() -> None:
    actor = Worker.start()
    pid = actor.proxy().pid().get(timeout=PATIENCE)
    assert actor.proxy().session_and_group().get(timeout=PATIENCE) == [pid, pid]
    actor.stop()


def test_a_process_has_its_own_descriptors_only() -> None:
    others = [Echo.start() for _ in range(3)]
    actor = Worker.start()
    proxy = actor.proxy()
    channel = proxy.channel_descriptor().get(timeout=PATIENCE)
    listed = proxy.descriptors().get(timeout=PATIENCE)
    assert {int(number) for number in listed} == {0, 1, 2, channel}
    actor.stop()
    for other in others:
        other.stop()


def test_standard_input_is_empty() -> None:
    assert ask("descriptors")[0] == "/dev/null"
    assert ask("read_stdin") == ""


def test_signals_have_their_defaults() -> None:
    # SIGPIPE and SIGXFSZ are ignored by Python itself.
    assert ask("signal_dispositions") == {
        "SIGINT": "default_int_handler",
        "SIGPIPE": "SIG_IGN",
        "SIGXFSZ": "SIG_IGN",
    }
    assert ask("blocked_signals") == []


def test_what_the_host_ignores_or_blocks_is_not_inherited(own_system: ProcessSystem) -> None:
    del own_system  # the zygote is to be started below
    ignored = {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR2})
    try:
        actor = Worker.start().proxy()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR2})
        for number, handler in before.items():
            signal.signal(number, handler)
    assert actor.blocked_signals().get(timeout=PATIENCE) == []
    assert set(actor.signal_dispositions().get(timeout=PATIENCE)) == {"SIGINT", "SIGPIPE", "SIGXFSZ"}
    # The zygote needs SIGCHLD to see this.
    assert actor.actor_ref.stop(timeout=PATIENCE) is True


def test_a_process_leaves_no_core_file() -> None:
    assert ask("core_limit") == 0


def test_a_process_has_the_hosts_limit_of_descriptors_but_can_have_fewer_on_their_way_than_the_host() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = ask("descriptor_limits")
    assert limits[0] == min(soft, limits[1])
    assert hard * 3 // 4 <= limits[1] <= hard - min(hard // 4, 2 * 253)


def test_the_kernel_would_choose_the_process_before_the_host() -> None:
    assert ask("oom_score_adjustment") > int(Path("/proc/self/oom_score_adj").read_text())


def test_a_process_that_wakes_up_pushes_no_other_off_its_core() -> None:
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    assert ask("scheduling_policy") == os.SCHED_BATCH


def test_a_process_is_named_for_people() -> None:
    assert ask("process_name") == "subactor"


def without_mark(environ: dict[str, str]) -> dict[str, str]:
    """Return an actor's environment without the one variable that is always added."""
    assert environ.pop("SUBACTORS_ZYGOTE")
    return environ


def test_environment_directory_and_module_path_are_the_hosts_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv("SUBACTORS_TEST_MOMENT", name)
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))
        actor = Worker.start().proxy()
        assert without_mark(actor.environment().get(timeout=PATIENCE)) == dict(os.environ)
        assert actor.directory().get(timeout=PATIENCE) == str(folder)
        assert actor.module_path().get(timeout=PATIENCE) == sys.path
        actor.stop()


def test_what_the_host_has_unset_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBACTORS_TEST_MOMENT", "there")
    assert "SUBACTORS_TEST_MOMENT" in ask("environment")
    monkeypatch.delenv("SUBACTORS_TEST_MOMENT")
    assert "SUBACTORS_TEST_MOMENT" not in ask("environment")


def test_an_actor_may_be_given_an_environment_of_its_own(system: ProcessSystem) -> None:
    started = Started(system, Worker, environ={"ONLY": "this"})
    assert without_mark(started.proxy.environment().get(timeout=PATIENCE)) == {"ONLY": "this"}
    started.reference.stop()


def test_an_environment_that_is_not_unicode_arrives_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBACTORS_TEST_BYTES", os.fsdecode(b"caf\xe9"))
    assert ask("environment_bytes", b"SUBACTORS_TEST_BYTES") == b"caf\xe9"


def test_a_directory_whose_name_is_not_unicode_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    actor = Echo.start()
    assert os.fsencode(os.readlink(f"/proc/{pid_of(actor)}/cwd")) == os.fsencode(folder)  # noqa: PTH115 - the text
    actor.stop()


def pid_of(actor: Any) -> int:
    """Return the process id of an actor, from the host's side."""
    pid = actor.process.pid
    assert isinstance(pid, int)
    return pid


def test_a_module_that_appears_after_the_zygote_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    Echo.start().stop()
    (tmp_path / "appeared_late.py").write_text(
        "from actor_classes import Worker\n\n\nclass Late(Worker):\n    def where(self):\n        return __file__\n"
    )
    import appeared_late  # type: ignore[import-not-found]  # noqa: PLC0415 - it was not there before

    actor = appeared_late.Late.start()
    assert actor.proxy().where().get(timeout=PATIENCE) == str(tmp_path / "appeared_late.py")
    actor.stop()
    del sys.modules["appeared_late"]


def test_a_removed_working_directory_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(SubactorsError, match="working directory has been removed"):
        Echo.start()


def test_it_is_one_with_a_relative_folder_on_the_module_path_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.syspath_prepend("relative")
    with pytest.raises(SubactorsError, match="working directory has been removed"):
        Echo.start()


def test_what_a_process_writes_goes_to_its_capture_file(system: ProcessSystem, tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    started = Started(system, Worker, capture=str(capture))
    started.proxy.write("on the one", to="stdout").get(timeout=PATIENCE)
    started.proxy.write("on the other", to="stderr").get(timeout=PATIENCE)
    assert capture.read_text() == "on the one\non the other\n"
    assert capture.stat().st_mode & 0o777 == 0o600
    started.reference.stop()


def test_the_name_of_a_capture_file_may_be_relative_to_the_hosts_directory(
    system: ProcessSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started = Started(system, Worker, capture="capture")
    started.proxy.write("here", to="stdout").get(timeout=PATIENCE)
    assert (tmp_path / "capture").read_text() == "here\n"
    started.reference.stop()


def test_a_module_path_with_other_things_than_text_in_it_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])
    assert ask("module_path")[-1] == str(tmp_path)


def test_a_capture_file_is_appended_to(system: ProcessSystem, tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    capture.write_text("from an earlier attempt\n")
    started = Started(system, Worker, capture=str(capture))
    started.proxy.write("from this one", to="stdout").get(timeout=PATIENCE)
    assert capture.read_text() == "from an earlier attempt\nfrom this one\n"
    started.reference.stop()


def test_what_a_killed_process_had_written_is_kept(system: ProcessSystem, tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    started = Started(system, Worker, capture=str(capture))
    started.proxy.write("last words", to="stdout").get(timeout=PATIENCE)
    started.process.kill()
    started.wait_for_end()
    assert capture.read_text() == "last words\n"


def test_a_process_whose_capture_file_cannot_be_made_works_without_one(system: ProcessSystem, tmp_path: Path) -> None:
    started = Started(system, Worker, capture=str(tmp_path / "nowhere" / "capture"))
    assert started.proxy.descriptors().get(timeout=PATIENCE)[1] == "/dev/null"
    started.reference.stop()
    assert started.wait_for_end().normal


def test_a_segmentation_fault_leaves_its_traceback_in_the_capture_file(system: ProcessSystem, tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    started = Started(system, Worker, capture=str(capture))
    started.proxy.segmentation_fault.defer()
    assert started.wait_for_end().signal_name == "SIGSEGV"
    assert "Fatal Python error: Segmentation fault" in capture.read_text()
    assert "in segmentation_fault" in capture.read_text()


def test_stacks_can_be_looked_at_while_the_process_runs(system: ProcessSystem, tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    started = Started(system, Worker, capture=str(capture))
    started.proxy.hold_the_interpreter.defer()

    def dumped() -> bool:
        started.process.dump_stack()
        return "in hold_the_interpreter" in capture.read_text()

    wait_until(dumped, "the stack is in the capture file")
    started.process.kill()
    assert started.wait_for_end().killed
