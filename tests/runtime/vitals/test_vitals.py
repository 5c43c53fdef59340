"""What tasks use of the machine, sampled now and then."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime, Vitals
from subactors.runtime.tasks.watching import Sample
from subactors.runtime.team.config import Limits
from subactors.runtime.vitals import looker as looker_module
from subactors.runtime.vitals.ring import Ring
from subactors.runtime.vitals.sampler import VitalsSampler, Watch
from teams import entrypoint_team, run_and_wait, speaking

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; x = bytearray(20_000_000); time.sleep(600)"])
print("ready", flush=True)
try:
    time.sleep(600)
finally:
    child.kill()
"""


def watch(pid: int, limits: Limits = Limits(), reached: Callable[[str], None] = print) -> Watch:  # noqa: B008 - frozen
    return Watch(lambda: pid, os.devnull, limits, reached)


@pytest.fixture
def busy() -> Iterator[int]:
    """The id of a process that computes."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize("count", [0, 3, 120, 121, 300])
def test_the_latest_samples_come_oldest_first(count: int) -> None:
    ring = Ring()
    for at in range(count):
        ring.add(float(at), at / 7, at * 1000)

    times = [float(at) for at in range(max(0, count - 120), count)]
    assert [sample.at for sample in ring.samples()] == times
    assert ring.samples(2) == [Sample(at, at / 7, at * 1000) for at in times[-2:]]


def test_a_process_is_sampled_again_and_again(busy: int) -> None:
    sampler = VitalsSampler(lambda: {"a": watch(busy)})
    sampler.task_started(Limits())
    try:
        wait_until(lambda: (sampler.latest("a") or Vitals()).cpu_percent is not None, "a second sample")
        vitals = sampler.latest("a")
    finally:
        sampler.close()

    assert vitals is not None
    assert vitals.cpu_percent is not None
    assert vitals.cpu_percent > 0
    assert vitals.cpu_seconds > 0
    assert vitals.memory_bytes > 100_000
    assert vitals.processes == 1


def test_logs_are_looked_at_often_even_if_that_takes_long(busy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def look(log: str) -> int:
        looks.append(log)
        return 0

    monkeypatch.setattr(looker_module, "bound_log", look)
    monkeypatch.setattr(looker_module, "_LOG_REST", 0.01)
    monkeypatch.setattr(looker_module, "_rested", lambda began, _share: began + 1000)
    sampler = VitalsSampler(lambda: {"a": watch(busy)})
    sampler.task_started(Limits())
    try:
        wait_until(lambda: len(looks) >= 3, "a third look")
    finally:
        sampler.close()


def test_samples_are_taken_often_while_somebody_watches(busy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looker_module, "_INTERVAL", 0.01)
    monkeypatch.setattr(looker_module, "_SHARE", 1e-9)  # the second look would come after weeks
    sampler = VitalsSampler(lambda: {"a": watch(busy)})
    sampler.watched()
    sampler.task_started(Limits())
    try:
        wait_until(lambda: sampler.watched() or len(sampler.samples("a")) >= 3, "a third sample")
    finally:
        sampler.close()


def test_a_sample_is_of_the_whole_tree() -> None:
    code = [sys.executable, "-S", "-c", PARENT]
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sampler = VitalsSampler(lambda: {"a": watch(process.pid)})
        sampler.task_started(Limits())
        try:
            wait_until(lambda: (sampler.latest("a") or Vitals()).memory_bytes > 20_000_000, "a sample of the child")
            vitals = sampler.latest("a")
        finally:
            sampler.close()
            os.killpg(process.pid, 9)

    assert vitals is not None
    assert vitals.processes == 2


def test_a_process_that_is_gone_has_no_sample(busy: int) -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    sampler = VitalsSampler(lambda: {"gone": watch(gone.pid), "busy": watch(busy)})
    sampler.task_started(Limits())
    try:
        wait_until(lambda: sampler.latest("busy"), "a sample")
        assert sampler.latest("gone") is None
    finally:
        sampler.close()


def test_the_largest_sample_of_memory_is_kept_until_it_is_taken(busy: int) -> None:
    sampler = VitalsSampler(lambda: {"a": watch(busy)})
    sampler.task_started(Limits())
    wait_until(lambda: (sampler.latest("a") or Vitals()).memory_bytes > 100_000, "a sample of the program")
    sampler.close()

    assert sampler.take_peak("a") > 100_000
    assert sampler.take_peak("a") == 0
    assert sampler.take_peak("unknown") == 0


def test_nothing_is_sampled_before_the_first_task_and_a_sampler_can_be_closed_unused() -> None:
    sampler = VitalsSampler(lambda: pytest.fail("nobody asked for it"))

    assert sampler.latest("a") is None
    sampler.close()


def test_the_sampler_rests_while_no_task_runs_and_wakes_for_the_next(busy: int) -> None:
    running: dict[str, Watch] = {}
    looked = threading.Event()

    def look() -> dict[str, Watch]:
        looked.set()
        return dict(running)

    sampler = VitalsSampler(look)
    sampler.task_started(Limits())
    try:
        assert looked.wait(10)
        running["a"] = watch(busy)
        sampler.task_started(Limits())
        wait_until(lambda: sampler.latest("a"), "a sample")

        del running["a"]
        wait_until(lambda: sampler.latest("a") is None, "the sample has been forgotten")
        running["a"] = watch(busy)
        sampler.task_started(Limits())
        wait_until(lambda: sampler.latest("a"), "a sample")
    finally:
        sampler.close()


def test_starts_of_unlimited_tasks_do_not_each_have_all_tasks_looked_at(busy: int) -> None:
    looks: list[None] = []

    def look() -> dict[str, Watch]:
        looks.append(None)
        return {"a": watch(busy)}

    sampler = VitalsSampler(look)
    sampler.task_started(Limits())
    try:
        wait_until(lambda: sampler.latest("a"), "a sample")
        before = len(looks)
        for _ in range(1000):
            sampler.task_started(Limits())
            time.sleep(0)  # lets the sampler run, if anything has woken it
        after = len(looks)
    finally:
        sampler.close()

    assert after - before < 100


def test_the_sampler_rests_between_one_task_and_the_next(busy: int) -> None:
    did: list[str] = []

    def pid() -> int:
        did.append("looked")
        return busy

    def running() -> dict[str, Watch]:
        did.append("woke")
        return {name: Watch(pid, os.devnull, Limits(), print) for name in ("a", "b", "c")}

    sampler = VitalsSampler(running)
    sampler.task_started(Limits())
    try:
        wait_until(lambda: sampler.latest("c"), "a sample of the last")
    finally:
        sampler.close()

    assert did.count("looked") >= 3
    assert "looked, looked" not in ", ".join(did)


def test_a_running_task_has_vitals_and_an_ended_one_its_totals() -> None:
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        task_id = speaking(runtime, "waits")
        wait_until(lambda: runtime.view(task_id).vitals, "a sample")
        live = runtime.view(task_id).vitals
        ended = runtime.stop(task_id)[0].vitals
        short = run_and_wait(runtime, "echo").vitals

    assert live is not None
    assert live.memory_bytes > 100_000
    assert live.processes == 1
    assert ended is not None
    assert ended.memory_bytes >= live.memory_bytes
    assert ended.cpu_seconds >= live.cpu_seconds
    assert (ended.processes, ended.cpu_percent) == (0, None)
    assert short is not None
    assert short.cpu_seconds > 0
