"""The zygote: what it is started with, what it does when the system refuses something, and its own end."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from actor_classes import Daemon, Echo, GrandchildKind, Worker
from first_forms import first_always
from process_listeners import Listener, Started
from processes_and_waits import children_of, descriptors, is_gone, wait_until, wait_until_at_rest
from subactors.actors import ProcessSystem, StartError
from subactors.actors.host import forked_process as forked_module
from subactors.actors.host import process as process_module
from subactors.actors.host import system as system_module
from subactors.actors.host import zygote_keeper as keeper_module

PATIENCE = 30.0


def zygote_of(started: Started) -> int:
    """Return the process id of the zygote that forked a process."""
    stat = Path(f"/proc/{started.process.pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


@pytest.fixture
def zygote(own_system: ProcessSystem) -> int:
    """The zygote of the test's own system."""
    started = Started(own_system, Worker)
    zygote = zygote_of(started)
    started.reference.stop()
    return zygote


def test_it_has_one_thread_and_a_session_of_its_own(own_system: ProcessSystem, zygote: int) -> None:
    del own_system
    assert len(os.listdir(f"/proc/{zygote}/task")) == 1  # noqa: PTH208 - names are enough
    assert os.getsid(zygote) == zygote


def test_it_has_none_of_the_hosts_descriptors(own_system: ProcessSystem) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    try:
        started = Started(own_system, Echo)
        assert not set(descriptors(zygote_of(started)).values()) & {descriptors()[reader]}
        started.reference.stop()
    finally:
        os.close(reader)
        os.close(writer)


def test_one_zygote_forks_all_actors(own_system: ProcessSystem) -> None:
    actors = [Started(own_system, Echo) for _ in range(3)]
    assert len({zygote_of(actor) for actor in actors}) == 1
    for actor in actors:
        actor.reference.stop()


def test_it_imports_what_is_to_be_shared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "expensive_module.py").write_text(
        "import os\nimported_by = os.getpid()\ncalled = 0\ndef warm_up():\n    global called\n    called += 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    system = ProcessSystem(preload=["expensive_module:warm_up", "no_such_module", "expensive_module:no_such_function"])
    for _ in range(2):
        started = Started(system, Worker)
        zygote = zygote_of(started)
        facts = started.proxy.look_up("expensive_module", ["imported_by", "called"]).get(timeout=PATIENCE)
        assert facts == [zygote, 1]
        started.reference.stop()
    system.close()


def test_a_preloaded_module_that_exits_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exiting_module.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    system = ProcessSystem(preload=["exiting_module"])
    Started(system, Echo).reference.stop()
    system.close()


def test_killing_it_ends_what_it_forked_even_in_c(own_system: ProcessSystem) -> None:
    sleeping, holding = Started(own_system, Worker), Started(own_system, Worker)
    sleeping.proxy.sleep.defer(600)
    holding.proxy.hold_the_interpreter.defer()
    os.kill(zygote_of(sleeping), signal.SIGKILL)
    for started in (sleeping, holding):
        end = started.wait_for_end()
        assert "the zygote ended with status -9, and its processes with it" in end.unobserved
        assert started.process.pid is not None
        assert is_gone(started.process.pid)


@pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (6, 9), reason="a pidfd cannot signal a group before Linux 6.9"
)
def test_killing_it_ends_the_groups_of_what_it_forked_whatever_their_environment(own_system: ProcessSystem) -> None:
    started = Started(own_system, Worker)
    grandchild = started.proxy.grandchild("no environment").get(timeout=PATIENCE)
    os.kill(zygote_of(started), signal.SIGKILL)
    started.wait_for_end()
    wait_until(lambda: is_gone(grandchild), "the grandchild is gone")


@first_always("environ", [None, {"PATH": os.environ["PATH"]}], ids=["the host's environment", "its own"])
@first_always("kind", ["plain", "own session", "daemon", "nohup", "own environment", "channel holder"], keep=3)
def test_what_its_actors_have_started_is_gone_when_their_end_after_its_kill_is_told(
    own_system: ProcessSystem, kind: GrandchildKind, environ: dict[str, str] | None
) -> None:
    started = Started(own_system, Worker, environ=environ)
    grandchild = started.proxy.grandchild(kind).get(timeout=PATIENCE)
    os.kill(zygote_of(started), signal.SIGKILL)
    end = started.wait_for_end()
    assert is_gone(grandchild)
    assert ("the zygote ended" in end.unobserved, end.survivors) == (True, 0)


def test_killing_it_ends_the_daemon_of_an_actor_that_had_ended_before(own_system: ProcessSystem) -> None:
    daemon, other = Started(own_system, Daemon), Started(own_system, Worker)
    pid = daemon.proxy.daemon_pid.get(timeout=PATIENCE)
    zygote = zygote_of(daemon)
    os.kill(zygote, signal.SIGSTOP)  # it cannot end the daemon itself
    daemon.process.kill()
    wait_until(lambda: daemon.process.pid is not None and is_gone(daemon.process.pid), "the actor is gone")
    assert not is_gone(pid)
    os.kill(zygote, signal.SIGKILL)
    daemon.wait_for_end()
    assert is_gone(pid)
    other.wait_for_end()


def test_killing_it_ends_a_system_inside_an_actor_and_what_that_has_started(own_system: ProcessSystem) -> None:
    started = Started(own_system, Worker)
    nested, daemon = started.proxy.nested_daemon().get(timeout=PATIENCE)
    os.kill(zygote_of(started), signal.SIGKILL)
    started.wait_for_end()
    assert is_gone(nested)
    assert is_gone(daemon)


@pytest.mark.parametrize("kind", ["plain", "own session", "daemon"])
def test_killing_it_leaves_alone_what_belongs_to_another_system(
    own_system: ProcessSystem, system: ProcessSystem, kind: GrandchildKind
) -> None:
    other, started = Started(system, Worker), Started(own_system, Worker)
    grandchild = other.proxy.grandchild(kind).get(timeout=PATIENCE)
    os.kill(zygote_of(started), signal.SIGKILL)
    started.wait_for_end()
    assert not is_gone(grandchild)
    assert other.proxy.pid().get(timeout=PATIENCE) == other.process.pid
    other.reference.stop()


def test_what_the_next_one_forks_lives_while_the_remains_of_the_last_one_are_ended(own_system: ProcessSystem) -> None:
    first = Started(own_system, Worker)
    first.proxy.grandchild("daemon").get(timeout=PATIENCE)
    os.kill(zygote_of(first), signal.SIGKILL)
    wait_until(lambda: not first.process.is_with_zygote, "the host knows that it is gone")
    second = Started(own_system, Worker)
    first.wait_for_end()
    assert second.proxy.pid().get(timeout=PATIENCE) == second.process.pid
    second.reference.stop()


def test_an_actor_of_a_stopped_zygote_leaves_nothing_when_the_system_is_closed(
    own_system: ProcessSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_module, "_KILL_LIMIT", 0.2)
    monkeypatch.setattr(keeper_module, "_EXIT_LIMIT", 0.2)
    started = Started(own_system, Worker)
    daemon = started.proxy.grandchild("daemon").get(timeout=PATIENCE)
    os.kill(zygote_of(started), signal.SIGSTOP)
    own_system.close(grace=0.1)
    assert is_gone(daemon)


def test_an_actor_that_starts_while_its_zygote_is_killed_ends_one_way_or_the_other(own_system: ProcessSystem) -> None:
    first = Started(own_system, Echo)
    zygote = zygote_of(first)
    processes = [own_system.spawn(Echo, listener=Listener()) for _ in range(10)]
    os.kill(zygote, signal.SIGKILL)
    first.wait_for_end()
    for process in processes:
        with contextlib.suppress(StartError):
            process.ready.result(PATIENCE)  # some got the old zygote and some a new one
    own_system.close()
    assert all(process.end is not None for process in processes)


def test_a_stopped_zygote_does_not_keep_an_exit_from_being_told(
    own_system: ProcessSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forked_module, "_REAP_LIMIT", 0.2)
    monkeypatch.setattr(process_module, "_CLOSED_CHANNEL_GRACE", 0.2)
    started = Started(own_system, Worker)
    zygote = zygote_of(started)
    os.kill(zygote, signal.SIGSTOP)
    try:
        started.proxy.exit_at_once.defer(3)
        end = started.wait_for_end()
    finally:
        os.kill(zygote, signal.SIGCONT)
    assert "the zygote did not report its exit" in end.unobserved
    assert end.violation == ""


def test_a_descendant_that_goes_on_writing_does_not_keep_its_actors_end_from_being_told(
    own_system: ProcessSystem,
) -> None:
    started = Started(own_system, Worker)
    writer = started.proxy.grandchild("channel writer").get(timeout=PATIENCE)
    try:
        started.listener.wait_for("output")
        os.kill(zygote_of(started), signal.SIGKILL)
        assert "the zygote ended" in started.wait_for_end().unobserved
    finally:
        with contextlib.suppress(ProcessLookupError):  # the end of the channel has ended it
            os.kill(writer, signal.SIGKILL)


def test_without_its_host_it_ends(zygote: int, own_system: ProcessSystem) -> None:
    own_system.close()
    assert is_gone(zygote)


def test_it_reaps_what_it_inherits(own_system: ProcessSystem) -> None:
    started = Started(own_system, Worker)
    zygote = zygote_of(started)
    started.proxy.grandchild("own session").get(timeout=PATIENCE)
    started.process.kill()
    started.wait_for_end()
    assert children_of(zygote) == []


@pytest.fixture
def no_more_processes(own_system: ProcessSystem) -> Iterator[Started]:
    """An actor whose zygote cannot fork any more."""
    folder = Path(f"/sys/fs/cgroup/pids/subactors-test-{os.getpid()}")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group for a limit of processes: {error}")
    started = Started(own_system, Worker)
    zygote = zygote_of(started)
    try:
        (folder / "cgroup.procs").write_text(str(zygote))
        (folder / "pids.max").write_text("1")
        yield started
    finally:
        own_system.close()
        wait_until(lambda: not (folder / "cgroup.procs").read_text(), "the control group is empty")
        folder.rmdir()


def test_a_refused_fork_is_an_error_of_that_start_alone(own_system: ProcessSystem, no_more_processes: Started) -> None:
    zygote = zygote_of(no_more_processes)
    wait_until_at_rest(zygote)  # a rehearsal has descriptors of its own
    before = descriptors(zygote)
    for _ in range(3):
        process = own_system.spawn(Echo, listener=Listener())
        with pytest.raises(StartError, match="fork failed: Resource temporarily unavailable"):
            process.ready.result(PATIENCE)
    assert no_more_processes.proxy.pid().get(timeout=PATIENCE) == no_more_processes.process.pid
    wait_until(lambda: descriptors(zygote) == before, "the zygote has the descriptors that it had")
    no_more_processes.reference.stop()


DESCRIPTOR_HOST = """
import resource, sys
from actor_classes import Echo
from subactors.actors import StartError, ProcessSystem
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
actors = []
for attempt in range(200):
    try:
        actors.append(Echo.start())
    except StartError as error:
        print(type(error).__name__, error)
        break
count = len(actors)
assert [actor.ask(count) for actor in actors] == [count] * count
for actor in actors:
    actor.stop()
again = [Echo.start() for _ in range(count // 2)]
assert [actor.ask(1) for actor in again] == [1] * (count // 2)
print(count)
"""


def run_host(program: str, **values: Any) -> list[str]:
    """Run a program that uses actors; return the lines that it prints."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", program.format(**values)], env=environ, stdout=subprocess.PIPE, check=True, timeout=60
    )
    return done.stdout.decode().splitlines()


def test_out_of_descriptors_is_an_error_of_that_start_alone() -> None:
    *errors, count = run_host(DESCRIPTOR_HOST, soft=64, hard=64)
    assert int(count) > 10
    assert [error.split()[0] for error in errors] == ["StartError"]
    assert "descriptor" in errors[0] or "Too many open files" in errors[0]


def test_a_low_soft_limit_of_descriptors_limits_nothing() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert run_host(DESCRIPTOR_HOST.replace("range(200)", "range(60)"), soft=64, hard=hard) == ["60"]


HELD_UP_HOST = """
import array, ctypes, resource, socket, struct
from actor_classes import Echo
from process_listeners import Listener
from processes_and_waits import wait_until
from subactors.actors import ProcessSystem

# Whoever is privileged may have any number of descriptors on their way.
ctypes.CDLL(None).capset(struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", *[0] * 6))
system = ProcessSystem(standby=0)
{before}
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
near.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [near.fileno()] * 253))])
resource.setrlimit(resource.RLIMIT_NOFILE, (200, {hard}))
process = system.spawn(Echo, listener=Listener())
if {held_up}:
    wait_until(lambda: system._zygotes._zygote is not None and system._zygotes._zygote._is_held_up, "it is held up")
    near.close()
    far.close()
process.ready.result(30)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] == {hard})
system.close()
"""


def test_a_host_that_may_send_no_descriptor_for_now_sends_it_later() -> None:
    started = "system.spawn(Echo, listener=Listener()).ready.result(30)"
    assert run_host(HELD_UP_HOST, before=started, hard=200, held_up=True) == ["True"]


def test_so_does_one_that_is_just_starting_its_zygote() -> None:
    assert run_host(HELD_UP_HOST, before="", hard=200, held_up=True) == ["True"]


def test_a_host_whose_soft_limit_keeps_it_from_sending_descriptors_raises_it() -> None:
    assert run_host(HELD_UP_HOST, before="", hard=400, held_up=False) == ["True"]
