"""An actor's process as one of `multiprocessing`: in the host, in itself, and with what `multiprocessing` shares."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pytest
from context_targets import Handed, Shares
from process_actors import get
from processes_and_waits import children_of, descriptors, is_gone, wait_until
from subactors.actors import ProcessRef, ProcessSystem, ZygoteContext, get_context

PATIENCE = 30.0
ENVIRON = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2] / "kit"), os.environ.get("PYTHONPATH", "")]),
}


@pytest.fixture
def actor(system: ProcessSystem) -> Iterator[ProcessRef[Shares]]:
    del system
    reference = Shares.start(None)
    yield reference
    if reference.is_alive():
        reference.stop()


def test_it_is_a_process_among_the_hosts_children(actor: ProcessRef[Shares]) -> None:
    process = actor.process

    assert isinstance(process, BaseProcess)
    assert process in multiprocessing.active_children()
    assert process.is_alive()
    assert (process.pid, process.ident, process.exitcode) == (get(actor.proxy().who())["pid"], process.pid, None)
    assert process.name == str(actor)
    assert process.daemon  # or the host's exit would wait for it
    assert str(process.pid) in repr(process)
    assert "started" in repr(process)

    actor.stop()
    assert (process.is_alive(), process.exitcode) == (False, 0)
    assert process not in multiprocessing.active_children()
    assert "stopped exitcode=0" in repr(process)


def test_its_sentinel_is_waited_for_with_others(actor: ProcessRef[Shares], context: ZygoteContext) -> None:
    plain = context.Process(target=os.getpid)
    plain.start()
    sentinels = [actor.process.sentinel, plain.sentinel]
    assert connection.wait(sentinels, PATIENCE) == [plain.sentinel]
    plain.join()

    actor.tell("a message that nobody expects: its handler raises nothing")
    actor.stop()
    assert connection.wait([actor.process.sentinel], PATIENCE) == [actor.process.sentinel]
    actor.process.close()
    with pytest.raises(ValueError, match="closed"):
        _ = actor.process.sentinel


def test_a_sentinel_that_is_asked_for_late_is_ready(actor: ProcessRef[Shares]) -> None:
    actor.stop()

    assert connection.wait([actor.process.sentinel], PATIENCE)
    actor.process.close()


def test_join_waits_as_long_as_it_may(actor: ProcessRef[Shares]) -> None:
    actor.process.join(0.01)
    assert actor.process.is_alive()
    with pytest.raises(ValueError, match="running"):
        actor.process.close()

    actor.stop(block=False)
    actor.process.join()
    assert actor.process.exitcode == 0


@pytest.mark.parametrize(
    ("means", "code"), [("terminate", -signal.SIGTERM), ("kill", -signal.SIGKILL), ("interrupt", 1)]
)
def test_it_can_be_ended_as_a_process(actor: ProcessRef[Shares], means: str, code: int) -> None:
    getattr(actor.process, means)()
    actor.process.join(PATIENCE)

    assert actor.process.exitcode == code
    assert is_gone(actor.process.pid or 0)


def test_it_tells_the_truth_about_itself(actor: ProcessRef[Shares]) -> None:
    who = get(actor.proxy().who())

    assert who["current"] == [str(actor), actor.process.pid, False]
    assert who["parent"] == [multiprocessing.current_process().name, os.getpid(), True]
    assert who["key"] == bytes(multiprocessing.current_process().authkey)


def test_the_host_has_it_in_itself_alone(actor: ProcessRef[Shares]) -> None:
    with pytest.raises(AttributeError, match="process"):
        get(actor.proxy().own_process())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", None])
def test_it_may_have_processes_of_its_own(actor: ProcessRef[Shares], method: str | None) -> None:
    assert get(actor.proxy().squares(method)) == [0, 1, 4]


def test_behind_a_fence_it_does_not_have_the_hosts_key(monkeypatch: pytest.MonkeyPatch) -> None:
    # With it a task could have other processes of the host unpickle what it sends.
    system = ProcessSystem(fenced=True)
    monkeypatch.setattr(Shares, "system", system)
    try:
        reference = Shares.start(None)
        assert get(reference.proxy().who())["key"] != bytes(multiprocessing.current_process().authkey)
        reference.stop()
    finally:
        system.close()


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_it_is_given_a_queue(context: ZygoteContext, kind: str) -> None:
    queue = getattr(context, kind)()
    reference = Shares.start(queue)
    reference.proxy().put("from the actor").get()

    assert queue.get() == "from the actor"
    reference.stop()
    queue.close()


def test_it_is_given_a_lock(context: ZygoteContext) -> None:
    lock = context.Lock()
    reference = Shares.start(lock)
    with lock:
        assert get(reference.proxy().locked()) is False
    assert get(reference.proxy().locked()) is True
    reference.stop()


def test_it_is_given_an_event(context: ZygoteContext) -> None:
    event = context.Event()
    reference = Shares.start(event)
    waiting = reference.proxy().wait()
    event.set()
    assert get(waiting) is True
    reference.stop()


def test_it_is_given_a_value(context: ZygoteContext) -> None:
    value = context.Value("i", 0)
    first, second = Shares.start(value), Shares.start(value)
    for future in [first.proxy().add(100), second.proxy().add(100)]:
        get(future)
    assert value.value == 200
    first.stop()
    second.stop()


def test_it_is_given_one_end_of_a_pipe(context: ZygoteContext) -> None:
    ours, theirs = context.Pipe()
    reference = Shares.start(theirs)
    theirs.close()
    get(reference.proxy().send(["over", "a", "pipe"]))
    assert ours.recv() == ["over", "a", "pipe"]
    reference.stop()
    ours.close()


def test_it_is_given_proxies_of_a_manager(context: ZygoteContext) -> None:
    with context.Manager() as manager:
        shared = manager.list([manager.list("ab"), manager.list("c")])
        reference = Shares.start(shared)
        # Of what is inside it learns from the manager itself: for that it needs the host's key.
        assert get(reference.proxy().lengths()) == [2, 1]
        reference.proxy().append("end").get()
        assert shared[2] == "end"
        reference.stop()


def test_behind_a_fence_it_is_given_a_proxy_of_a_manager(
    context: ZygoteContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = ProcessSystem(fenced=True)
    monkeypatch.setattr(Shares, "system", system)
    try:
        with context.Manager() as manager:
            shared = manager.list()
            reference = Shares.start(shared)  # the proxy has the key of its manager with it
            reference.proxy().append("from behind a fence").get()
            assert list(shared) == ["from behind a fence"]
            reference.stop()
    finally:
        system.close()


def test_a_proxy_in_a_message_works(actor: ProcessRef[Shares], context: ZygoteContext) -> None:
    with context.Manager() as manager:
        shared = manager.list([1, 2])
        assert get(actor.proxy().length_of(shared)) == 2


def test_only_one_that_is_given_something_shared_has_the_hosts_tracker(context: ZygoteContext) -> None:
    tracker = descriptors()[resource_tracker.getfd()]
    plain, sharing = Shares.start(None), Shares.start(context.Lock())

    assert tracker not in descriptors(plain.process.pid).values()
    assert tracker in descriptors(sharing.process.pid).values()
    plain.stop()
    sharing.stop()


@pytest.mark.parametrize("fenced", [False, True], ids=["no fence", "fence"])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_segment_of_the_host_outlives_an_actor_that_was_given_it(
    monkeypatch: pytest.MonkeyPatch, end: str, *, fenced: bool
) -> None:
    system = ProcessSystem(fenced=fenced)
    monkeypatch.setattr(Shares, "system", system)
    segment = SharedMemory(create=True, size=32)
    try:
        reference = Shares.start(segment)
        get(reference.proxy().write("seen"))
        assert children_of(reference.process.pid or 0) == []  # it has no tracker of its own
        _end(reference, end)
        system.close()  # and with it a tracker that it may have started
        SharedMemory(segment.name).close()
    finally:
        system.close()
        segment.close()
        segment.unlink()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_segment_of_the_host_outlives_an_actor_that_opened_it_by_name(actor: ProcessRef[Shares], end: str) -> None:
    segment = SharedMemory(create=True, size=32)
    try:
        get(actor.proxy().write_to(segment.name, "seen"))
        assert bytes(segment.buf[:4]) == b"seen"
        assert children_of(actor.process.pid or 0) == []
        _end(actor, end)
        SharedMemory(segment.name).close()
    finally:
        segment.close()
        segment.unlink()


def _end(reference: ProcessRef[Any], how: str) -> None:
    if how == "kill":
        reference.process.kill()
        reference.process.join()
    else:
        reference.stop()


def test_what_a_library_has_its_own_way_to_share_is_shared_so(actor: ProcessRef[Shares]) -> None:
    del actor
    with Handed.registered():
        reference = Shares.start(Handed("by default"))
        assert get(reference.proxy().how()) == "by a reducer"
        reference.stop()
    reference = Shares.start(Handed("by default"))
    assert get(reference.proxy().how()) == "by default"
    reference.stop()


def test_it_is_given_a_socket(context: ZygoteContext) -> None:
    del context
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reference = Shares.start(theirs)
        reference.proxy().send(b"over a socket").get()
        assert ours.recv(100) == b"over a socket"
        reference.stop()


def test_it_is_given_shared_memory(context: ZygoteContext) -> None:
    del context
    segment = SharedMemory(create=True, size=32)
    try:
        reference = Shares.start(segment)
        get(reference.proxy().write("written"))
        assert bytes(segment.buf[:7]) == b"written"
        reference.stop()
        assert bytes(segment.buf[:7]) == b"written"  # it is the host's, and stays
    finally:
        segment.close()
        segment.unlink()


def test_it_is_given_a_queue_where_a_process_stands_by(monkeypatch: pytest.MonkeyPatch) -> None:
    system = ProcessSystem(standby=1)
    monkeypatch.setattr(Shares, "system", system)
    context = get_context(system)
    try:
        queue = context.SimpleQueue()
        Shares.start(queue).stop()
        wait_until(lambda: system._standby._waiting, "a process stands by")
        reference = Shares.start(queue)
        get(reference.proxy().put("stood by"))
        assert queue.get() == "stood by"
        reference.stop()
        queue.close()
    finally:
        system.close()


def test_a_hundred_leave_neither_children_nor_descriptors(system: ProcessSystem) -> None:
    del system
    before = len(descriptors())
    for _ in range(5):
        references = [Shares.start(None) for _ in range(20)]
        for reference in references:
            _ = reference.process.sentinel
            reference.stop()
    del references, reference

    wait_until(lambda: gc.collect() >= 0 and len(descriptors()) <= before, "the sentinels are closed")
    assert multiprocessing.active_children() == []


SEGMENTS = Path("/dev/shm")  # noqa: S108 - where Linux has them

LEAVING = """
import sys
import os, signal
from context_targets import Holder
from subactors.actors import ProcessSystem

if __name__ == "__main__":
    if sys.argv[1] == "used":
        from multiprocessing import resource_tracker
        resource_tracker.ensure_running()
    if sys.argv[1] == "fenced":
        Holder.system = ProcessSystem(fenced=True)
    holder = Holder.start()
    print(holder.proxy().name().get(), flush=True)
    if sys.argv[2] == "kill":
        holder.process.kill()
    elif sys.argv[2] == "stop":
        holder.stop()
    elif sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if Holder.system:
        Holder.system.close()
"""


@pytest.mark.parametrize("end", ["kill", "stop", "leave", "die"])
@pytest.mark.parametrize("host", ["used", "unused", "fenced"])
def test_a_segment_that_it_makes_is_gone_with_the_host(tmp_path: Path, host: str, end: str) -> None:
    script = tmp_path / "leaving.py"
    script.write_text(LEAVING)
    done = subprocess.run(
        [sys.executable, str(script), host, end],
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == (-signal.SIGKILL if end == "die" else 0), done.stderr
    name = done.stdout.split()[0]

    wait_until(lambda: not (SEGMENTS / name).exists(), f"{name} is gone")


def test_a_host_that_does_not_import_multiprocessing_does_not_pay_for_it(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\n"
        "from actor_classes import Echo\n"
        "if __name__ == '__main__':\n"
        "    echo = Echo.start()\n"
        "    process = echo.process\n"
        "    assert process.is_alive() and process.exitcode is None and process.sentinel\n"
        "    assert 'multiprocessing' not in sys.modules, 'imported'\n"
        "    import multiprocessing\n"
        "    assert process in multiprocessing.active_children()\n"
        "    assert isinstance(process, multiprocessing.process.BaseProcess)\n"
        "    echo.stop()\n"
        "    assert multiprocessing.active_children() == []\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_what_it_is_called_by_can_be_told_to_its_processes(actor: ProcessRef[Any]) -> None:
    assert str(actor) == actor.process.name
    assert actor.process.authkey == multiprocessing.current_process().authkey
