"""An actor's process as one of `multiprocessing`: in the host, in itself, and with what `multiprocessing` shares."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from answers_and_hooks import get
from context_targets import Shares
from first_forms import first_always
from processes_and_waits import descriptors, is_gone, wait_until
from subactors.actors import ProcessRef, ProcessSystem, ZygoteContext

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


@pytest.mark.parametrize("kind", ["actor", "process of the context"])
def test_once_it_is_closed_nothing_is_known_of_it(actor: ProcessRef[Shares], context: ZygoteContext, kind: str) -> None:
    process: Any = actor.process
    if kind == "actor":
        actor.stop()
    else:
        process = context.Process(target=int)
        process.start()
        process.join(PATIENCE)
    process.close()

    for name in ("pid", "ident", "exitcode", "sentinel"):
        with pytest.raises(ValueError, match="closed"):
            getattr(process, name)
    for name in ("is_alive", "join", "terminate"):
        with pytest.raises(ValueError, match="closed"):
            getattr(process, name)()
    assert "closed" in repr(process)
    process.close()


def test_it_can_be_renamed_and_made_no_daemon_as_little_as_any(actor: ProcessRef[Shares]) -> None:
    process = actor.process
    process.name = "renamed"
    assert process.name == "renamed"
    assert "renamed" in repr(process)
    assert get(actor.proxy().who())["current"][0] == str(actor) != "renamed"
    for daemonic in (False, True):
        with pytest.raises(AssertionError, match="already started"):
            process.daemon = daemonic
    with pytest.raises(AssertionError, match="string"):
        process.name = 5  # type: ignore[assignment]  # on purpose


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


def test_an_interrupt_right_after_the_start_is_not_lost(system: ProcessSystem) -> None:
    del system
    processes = []
    for _ in range(30):
        processes.append(Shares.start(None).process)
        processes[-1].interrupt()
    for process in processes:
        process.join(PATIENCE)

    assert [process.exitcode for process in processes] == [1] * 30


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


@pytest.mark.slow
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


@first_always(
    ("host", "end"),
    [("used", "kill"), ("used", "stop"), ("used", "leave"), ("used", "die"), ("unused", "kill"), ("fenced", "kill")],
    keep=2,
)
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
