"""Processes of the `multiprocessing` context: what `multiprocessing.Process` promises, on processes of the zygote."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import context_targets as targets
import pytest
from processes_and_waits import descendants_of, descriptors, is_gone, wait_until
from subactors.actors import ProcessSystem, StartError, SubactorsError, ZygoteContext, get_context
from subactors.actors.host import popen

PATIENCE = 30.0


def ended(process: Any) -> int | None:
    process.start()
    process.join(PATIENCE)
    code: int | None = process.exitcode
    process.close()
    return code


def test_it_is_a_context_as_multiprocessing_has_them(context: ZygoteContext) -> None:
    assert isinstance(context, BaseContext)
    assert context.get_start_method() == "zygote"
    assert context.get_context() is context
    assert context.get_context("spawn").get_start_method() == "spawn"
    assert get_context() is get_context()


def test_the_name_is_no_start_method_for_everybody() -> None:
    # A `spawn` process beside it would end on a default that it does not know.
    assert "zygote" not in multiprocessing.get_all_start_methods()
    with pytest.raises(ValueError, match="zygote"):
        multiprocessing.get_context("zygote")


@pytest.mark.parametrize(
    ("target", "arguments", "code"),
    [
        (int, (), 0),
        (targets.end_with, (None,), 0),
        (targets.end_with, (7,), 7),
        (targets.end_with, ("a word",), 1),
        (targets.fail, (), 1),
        (targets.end_by, (signal.SIGKILL,), -9),
        (targets.end_by, (signal.SIGSEGV,), -11),
        (targets.end_by, (signal.SIGABRT,), -6),
        (os._exit, (5,), 5),
    ],
)
def test_its_exit_code_says_how_it_ended(
    context: ZygoteContext, target: Callable[..., object], arguments: tuple[Any, ...], code: int
) -> None:
    assert ended(context.Process(target=target, args=arguments)) == code


def test_what_it_raises_is_shown_with_its_name(own_system: ProcessSystem, capfd: pytest.CaptureFixture[str]) -> None:
    context = get_context(own_system)  # its zygote starts now, and so shares what is captured
    assert ended(context.Process(target=targets.fail, name="Failing")) == 1

    shown = capfd.readouterr().err
    assert "Process Failing:" in shown
    assert "ValueError: on purpose" in shown


def test_what_cannot_be_unpickled_there_is_shown_too(
    own_system: ProcessSystem, capfd: pytest.CaptureFixture[str]
) -> None:
    context = get_context(own_system)  # its zygote starts now, and so shares what is captured
    assert ended(context.Process(target=print, args=(targets.Unpicklable(),))) == 1

    assert "ValueError: on purpose" in capfd.readouterr().err


def test_it_knows_who_it_is_and_where(context: ZygoteContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUBACTORS_TESTED", "now")
    queue = context.SimpleQueue()
    process = context.Process(target=targets.put_surroundings, args=(queue,), name="Somebody", daemon=True)
    process.start()
    found = queue.get()
    process.join(PATIENCE)
    queue.close()

    assert found["current"] == ("Somebody", process.pid, True)
    assert found["parent"] == (multiprocessing.current_process().name, os.getpid(), True)
    assert (found["directory"], found["variable"]) == (str(tmp_path), "now")
    # The standard streams, the resource tracker, the host's pidfd and both ends of the queue; the list of them is one.
    assert found["descriptors"] <= 8
    assert found["threads"] == 1
    assert not found["main"]  # what started pytest has not run there


def test_it_is_among_the_hosts_children_while_it_runs(context: ZygoteContext) -> None:
    queue = context.SimpleQueue()
    process = context.Process(target=targets.say_and_sleep, args=(queue,))
    assert (process.pid, process.exitcode, process.is_alive()) == (None, None, False)
    process.start()

    assert queue.get() == process.pid == process.ident
    assert process in multiprocessing.active_children()
    assert process.is_alive()
    assert process.exitcode is None
    assert connection.wait([process.sentinel], 0) == []
    process.join(0.01)
    assert process.is_alive()
    with pytest.raises(ValueError, match="running"):
        process.close()

    process.terminate()
    assert connection.wait([process.sentinel], PATIENCE) == [process.sentinel]
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGTERM
    assert process not in multiprocessing.active_children()
    process.close()
    queue.close()


def test_it_can_be_killed_and_interrupted(context: ZygoteContext) -> None:
    queue = context.SimpleQueue()
    stubborn = context.Process(target=targets.ignore_sigterm, args=(queue,))
    stubborn.start()
    queue.get()
    stubborn.terminate()
    stubborn.kill()
    stubborn.join(PATIENCE)
    assert stubborn.exitcode == -signal.SIGKILL

    # Not the same queue: who is killed may have held its lock.
    other = context.SimpleQueue()
    interrupted = context.Process(target=targets.say_and_sleep, args=(other,))
    interrupted.start()
    other.get()
    interrupted.interrupt()
    interrupted.join(PATIENCE)
    assert interrupted.exitcode == 1  # by a KeyboardInterrupt
    queue.close()
    other.close()


def test_it_ends_with_all_that_it_has_started(context: ZygoteContext) -> None:
    queue = context.SimpleQueue()
    process = context.Process(target=targets.start_sleepers, args=(queue,))
    process.start()
    pids = queue.get()
    process.kill()
    process.join(PATIENCE)

    assert [pid for pid in pids if not is_gone(pid)] == []
    queue.close()


def test_it_can_be_a_subclass_with_a_run_of_its_own(context: ZygoteContext) -> None:
    class Summing(context.Process):  # type: ignore[name-defined, misc]  # the context's own class
        def __init__(self, queue: Any, *numbers: int) -> None:
            super().__init__()
            self.queue = queue
            self.numbers = numbers

        def run(self) -> None:
            self.queue.put(sum(self.numbers))

    queue = context.SimpleQueue()
    process = Summing(queue, 1, 2, 3)
    process.start()
    process.join(PATIENCE)

    assert queue.get() == 6
    queue.close()


def test_a_lambda_may_hold_what_is_shared(context: ZygoteContext) -> None:
    queue, lock = context.SimpleQueue(), context.Lock()
    extra = 40

    def work() -> None:
        with lock:
            queue.put(extra + 2)

    assert ended(context.Process(target=work)) == 0
    assert ended(context.Process(target=lambda: queue.put(lock.acquire(timeout=1)))) == 0
    assert (queue.get(), queue.get()) == (42, True)
    queue.close()


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_it_has_an_environment_of_megabytes(context: ZygoteContext, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    queue = context.SimpleQueue()
    for number in range(10):
        monkeypatch.setenv(f"SUBACTORS_LARGE_{number}", f"{number}" * size)
    process = context.Process(target=targets.put_variables, args=(queue,))
    process.start()
    assert dict(os.environ).items() <= queue.get().items()
    process.join(PATIENCE)
    assert process.exitcode == 0
    queue.close()


@pytest.mark.parametrize("size", [10, 40_000, 5_000_000])
def test_it_is_given_arguments_of_any_length_with_descriptors(context: ZygoteContext, size: int) -> None:
    queue = context.SimpleQueue()
    data = os.urandom(size)
    process = context.Process(target=targets.put, args=(queue, data))
    process.start()

    assert queue.get() == data
    process.join(PATIENCE)
    assert process.exitcode == 0
    queue.close()


def test_it_is_given_hundreds_of_descriptors_and_no_more_than_can_be_sent(context: ZygoteContext) -> None:
    reader, writer = context.Pipe(duplex=False)
    files = [connection.Connection(end) for pipe in (os.pipe() for _ in range(130)) for end in pipe]
    try:
        assert ended(context.Process(target=_take, args=(writer, files[:240]))) == 0
        assert reader.recv() == 240
        with pytest.raises(ValueError, match="descriptors"):
            context.Process(target=_take, args=(writer, files)).start()
    finally:
        for file in [*files, reader, writer]:
            file.close()


def _take(writer: Any, files: list[Any]) -> None:
    writer.send(len({os.fstat(file.fileno()).st_ino for file in files}) * 2)


def test_it_can_start_processes_and_pools_of_its_own(context: ZygoteContext) -> None:
    queue = context.Queue()
    outer = context.Process(target=targets.start_another, args=(queue,))
    pooling = context.Process(target=targets.use_a_pool, args=(queue,))
    outer.start()
    assert queue.get(timeout=PATIENCE) == outer.pid
    assert queue.get(timeout=PATIENCE) == 0
    pooling.start()
    assert queue.get(timeout=PATIENCE) == [0, 1, 4]
    for process in (outer, pooling):
        process.join(PATIENCE)
        assert process.exitcode == 0
    queue.close()
    queue.join_thread()


def test_a_daemon_has_no_processes_of_its_own(own_system: ProcessSystem, capfd: pytest.CaptureFixture[str]) -> None:
    context = get_context(own_system)  # its zygote starts now, and so shares what is captured
    queue = context.SimpleQueue()

    assert ended(context.Process(target=targets.start_another, args=(queue,), daemon=True)) == 1
    assert "daemonic processes are not allowed to have children" in capfd.readouterr().err
    queue.close()


def test_what_belongs_to_the_default_context_is_refused(context: ZygoteContext) -> None:
    lock = multiprocessing.get_context("fork").Lock()

    with pytest.raises(RuntimeError, match="fork"):
        context.Process(target=targets.acquire, args=(lock, None)).start()


@pytest.mark.parametrize("target", [print, lambda file: file.write("lost")], ids=["by name", "by value"])
def test_an_open_file_is_refused_as_it_would_be_a_copy(
    context: ZygoteContext, tmp_path: Path, target: Callable[..., object]
) -> None:
    with (tmp_path / "open").open("w+") as file, pytest.raises(TypeError, match=r"open file.*Give its path"):
        context.Process(target=target, args=(file,)).start()


def test_where_the_working_directory_has_been_removed_it_is_told_so(
    context: ZygoteContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(SubactorsError, match="working directory has been removed"):
        context.Process(target=int).start()


def test_a_lost_zygote_ends_it_and_the_next_process_has_another(own_system: ProcessSystem) -> None:
    context = get_context(own_system)
    queue = context.SimpleQueue()
    process = context.Process(target=targets.say_and_sleep, args=(queue,))
    process.start()
    queue.get()
    assert own_system._zygotes._zygote is not None
    own_system._zygotes._zygote._program.kill()
    process.join(PATIENCE)

    assert process.exitcode == 255
    assert ended(context.Process(target=int)) == 0
    queue.close()


def test_a_closed_system_ends_it_and_starts_no_other(own_system: ProcessSystem) -> None:
    context = get_context(own_system)
    queue = context.SimpleQueue()
    process = context.Process(target=targets.ignore_sigterm, args=(queue,))
    process.start()
    queue.get()
    own_system.close(grace=0.1)
    process.join(PATIENCE)

    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(Exception, match="closed"):
        context.Process(target=int).start()
    queue.close()


def test_a_fork_that_the_system_refuses_is_raised_where_it_is_started(
    context: ZygoteContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("subactors.actors.host.zygote_keeper.open_channel", refuse)
    with pytest.raises(StartError, match="Too many open files"):
        context.Process(target=int).start()


def test_a_fork_of_the_host_takes_it_for_nobodys(context: ZygoteContext) -> None:
    queue = context.SimpleQueue()
    process = context.Process(target=targets.say_and_sleep, args=(queue,))
    process.start()
    queue.get()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            process._popen.terminate()
            process._popen.kill()
            code = 0 if process._popen.poll() is None else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert process.is_alive()
    process.kill()
    process.join(PATIENCE)
    queue.close()


def test_a_hundred_leave_nothing_in_the_host(context: ZygoteContext) -> None:
    before = len(descriptors())
    for _ in range(4):
        processes = [context.Process(target=int) for _ in range(25)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(PATIENCE)
            assert process.exitcode == 0
    del processes, process
    wait_until(lambda: len(descriptors()) <= before, "the sentinels are closed")

    assert multiprocessing.active_children() == []


def test_python_that_is_newer_calls_it_by_the_same_names() -> None:
    # What of multiprocessing's private names is used; a Python that has others must not be found out by a hang.
    process, util = multiprocessing.process, sys.modules["multiprocessing.util"]
    assert {"_children", "_current_process", "_parent_process", "_ParentProcess"} <= vars(process).keys()
    assert {"_exit_function", "_flush_std_streams"} <= vars(util).keys()
    assert hasattr(process.BaseProcess, "_bootstrap")


def test_a_start_that_is_interrupted_leaves_neither_process_nor_descriptor(
    context: ZygoteContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(forked: Future[None]) -> None:
        forked.result(PATIENCE)
        raise KeyboardInterrupt

    assert ended(context.Process(target=int)) == 0
    gc.collect()
    held, before = len(descriptors()), {process.pid for process in descendants_of(os.getpid())}
    with monkeypatch.context() as patched:
        patched.setattr(popen, "result_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            context.Process(target=targets.sleep_on).start()

    wait_until(lambda: gc.collect() >= 0 and len(descriptors()) <= held, "its descriptors are closed")
    assert {process.pid for process in descendants_of(os.getpid())} <= before
