"""What is open in a zygote, and in what it forks: whatever modules and rehearsals leave behind, actors start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import rehearsing_actors
from actor_classes import Echo, Worker
from first_forms import first_always
from process_listeners import Listener, Started
from processes_and_waits import children_of, descriptors, wait_until, wait_until_at_rest
from subactors.actors import ProcessActor, ProcessSystem

PATIENCE = 30.0


@contextmanager
def rehearsed(rehearsal: type[ProcessActor], *, standby: int = 0) -> Iterator[tuple[ProcessSystem, int]]:
    """Have a system whose zygote has imported `rehearsing_actors` and rehearsed; yields that, and the zygote's id."""
    before = children_of(os.getpid())
    system = ProcessSystem(preload=["rehearsing_actors:open_sockets"], rehearsal=(rehearsal, ()), standby=standby)
    try:
        Started(system, Echo).reference.stop()
        (zygote,) = set(children_of(os.getpid())) - set(before)
        wait_until_at_rest(zygote)
        yield system, zygote
    finally:
        system.close()


@pytest.mark.parametrize("rehearsal", [rehearsing_actors.ClosesWhatWasOpen, rehearsing_actors.LeavesOpen])
def test_an_actor_has_its_channel_alone_whatever_its_zygote_has_closed_or_opened_since(
    rehearsal: type[ProcessActor],
) -> None:
    with rehearsed(rehearsal) as (system, _):
        started = Started(system, Worker)
        own = started.proxy.descriptors().get(timeout=PATIENCE)
        assert own.keys() == {0, 1, 2, 3}
        assert own[3].startswith("socket:")
        started.reference.stop()
        assert started.wait_for_end().normal


def test_actors_that_are_forked_behind_each_other_have_each_its_own_channel_alone(own_system: ProcessSystem) -> None:
    zygote = Started(own_system, Worker).proxy.parent_pid().get(timeout=PATIENCE)
    wait_until_at_rest(zygote)
    before = descriptors(zygote).keys()
    os.kill(zygote, signal.SIGSTOP)
    listeners = [Listener() for _ in range(6)]
    processes = [own_system.spawn(Worker, listener=listener) for listener in listeners]
    os.kill(zygote, signal.SIGCONT)
    for process in processes:
        process.ready.result(PATIENCE)
    workers = [listener.reference.proxy() for listener in listeners]
    assert [worker.pid().get(timeout=PATIENCE) for worker in workers] == [process.pid for process in processes]
    own = [worker.descriptors().get(timeout=PATIENCE) for worker in workers]
    assert all(each.keys() == {0, 1, 2, 3} for each in own)
    assert len({each[3] for each in own}) == len(own)
    wait_until_at_rest(zygote)
    assert descriptors(zygote).keys() == before


def test_where_the_kernel_closes_no_ranges_the_open_ones_are_looked_for() -> None:
    program = """
import os
from subactors.actors.linux import kernel as _linux
_linux._CLOSE_RANGE = 100_000  # no system call has this number
close, arguments = _linux.closing_step(5)
for number in (5, 7, 60):
    os.dup2(2, number)
close(*arguments)
os.write(2, b"there")
print([number for number in range(100) if _linux._is_open(number)])
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stderr == "there"
    assert set(eval(done.stdout)) <= {0, 1, 2, 3, 4}  # noqa: S307 - it is printed above


@pytest.mark.parametrize("closed", ["1", "2", "0"])
def test_a_host_without_a_standard_stream_has_actors_with_all_three(closed: str) -> None:
    program = """
from actor_classes import Worker
actor = Worker.start()
own = actor.proxy().descriptors().get(timeout=30)
actor.proxy().write("lost", to="stdout").get(timeout=30)
actor.stop()
assert own.keys() == {0, 1, 2, 3}, own
assert [number for number in own if own[number].startswith("socket:")] == [3], own
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = f'exec "$0" -c "$1" {closed}>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, program], env=environ, check=False, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")


# --- rehearsals that break off --------------------------------------------------------------------------------------


@first_always(
    "rehearsal",
    [
        rehearsing_actors.NeverEnds,
        rehearsing_actors.SwallowsTheLimit,
        rehearsing_actors.LeavesItsLoopRunning,
        rehearsing_actors.IsReferredToForEver,
    ],
)
def test_a_rehearsal_that_does_not_end_leaves_nothing_open_and_prints_nothing(
    rehearsal: type[ProcessActor], capfd: pytest.CaptureFixture[str]
) -> None:
    with rehearsed(rehearsing_actors.Printing) as (_, zygote):
        usual = descriptors(zygote)
    with rehearsed(rehearsal) as (system, zygote):
        Started(system, Echo).reference.stop()
        assert descriptors(zygote).keys() == usual.keys()
    assert capfd.readouterr() == ("", "")


def test_an_actor_knows_nothing_of_a_rehearsal_that_broke_off() -> None:
    with rehearsed(rehearsing_actors.NeverEnds) as (system, _):
        started = Started(system, Worker)
        assert started.proxy.signal_dispositions().get(timeout=PATIENCE).get("SIGALRM") is None
        started.proxy.exit_python.defer(0)  # stops all actors of its process, and waits for them
        assert started.wait_for_end().code == 0


def test_a_process_whose_rehearsal_breaks_off_stands_by_all_the_same() -> None:
    with rehearsed(rehearsing_actors.NeverEnds, standby=1) as (system, _):
        wait_until(lambda: system._standby._waiting, "one stands by")
        started = Started(system, Worker)
        assert started.proxy.descriptors().get(timeout=PATIENCE).keys() == {0, 1, 2, 3}
        started.reference.stop()


SLOW = """
import asyncio, os, pickle, sys, time
from subactors.actors.child import life as _child
from subactors.actors.linux import kernel as _linux
from subactors.runtime.models.openai import warm_up as _warm_up
from subactors.runtime.child import rehearsal as _rehearsal
from subactors.runtime.child.actor import TaskActor
from subactors.runtime.team.config import Team

_warm_up._REHEARSAL_TIME = {model}
_child._REHEARSAL_LIMIT = {limit}
if {held}:
    # A machine that stands still while the model answers.
    original = asyncio.StreamReader.readuntil
    async def readuntil(*arguments):
        time.sleep({held})
        return await original(*arguments)
    asyncio.StreamReader.readuntil = readuntil
task = _rehearsal._spec(_rehearsal.AgentSetup(
    agent=_rehearsal.AgentConfig(name="r", entrypoint="subactors.runtime.child.rehearsal:rehearse"),
    sub_agents=(), permissions=_rehearsal.Permissions(), settings=_rehearsal.Settings(),
))
actor = pickle.dumps((TaskActor, (task,), {{}}))
_warm_up.warm_up(secure=False)
before = _linux.open_descriptors()
print(_child.rehearse(actor, threads=False), _linux.open_descriptors() - before)
"""


@first_always(
    ("model", "limit", "held"),
    [(0.0, 2.0, 0), (0.02, 2.0, 0.1), (5.0, 0.01, 0), (0.05, 0.1, 0.2)],
)
def test_a_rehearsal_with_a_model_that_is_too_slow_leaves_nothing_open_and_prints_nothing(
    model: float, limit: float, held: float
) -> None:
    program = SLOW.format(model=model, limit=limit, held=held)
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout.split()[1:]) == (0, "", ["set()"])


ANYWHERE = """
import signal

counted, due, struck_at = 0, None, None

def tracer(frame, event, _argument):
    global counted, struck_at
    counted += 1
    # Not in the callback of a weak reference: Python drops what is raised there.
    is_heard = frame.f_code.co_qualname != "WeakSet.__init__.<locals>._remove"
    if due is not None and counted >= due and is_heard and signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
        # Once more in the middle of what the first interrupt has had done, as where that takes long.
        counted = -100 if struck_at is None else -1_000_000_000
        struck_at = frame.f_code.co_qualname, frame.f_lineno
        signal.raise_signal(signal.SIGALRM)
    return tracer

def rehearse_traced():
    sys.settrace(tracer)
    try:
        return _child.rehearse(actor, threads=False)
    finally:
        sys.settrace(None)

_child._REHEARSAL_LIMIT = _warm_up._REHEARSAL_TIME = 20.0
assert rehearse_traced()
whole = counted
for tenth in range(1, 10):
    counted, due, struck_at = 0, whole * tenth // 10, None
    done = rehearse_traced()
    assert not _linux.open_descriptors() - before, struck_at
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0), struck_at
    assert struck_at is not None and not done, (struck_at, done)
due = None
assert _child.rehearse(actor, threads=False)
print("rehearses as before")
"""


def test_a_rehearsal_may_be_broken_off_anywhere() -> None:
    program = SLOW.format(model=5.0, limit=20.0, held=0) + ANYWHERE
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1:]) == (0, "", ["rehearses as before"])
