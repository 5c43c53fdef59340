"""Processes that fork anew as fast as they are killed outlive neither their actor nor the host, nor hold up others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from first_forms import first_always
from population_actors import Leaving
from populations import KINDS, Kind, generations, is_extinct, new_pulse
from process_listeners import Started
from processes_and_waits import GONE_WITHIN, is_gone, wait_until
from subactors.actors import ProcessSystem
from subactors.runtime import Runtime
from teams import entrypoint_team, run_and_wait

PATIENCE = 30.0
ENOUGH = 20
"""Generations after which a population has found its way."""


def wait_for_life(pulse: Path) -> None:
    wait_until(lambda: generations(pulse) > ENOUGH, "the population lives", PATIENCE)


def wait_for_extinction(pulse: Path, limit: float = 10.0) -> None:
    wait_until(lambda: is_extinct(pulse), f"nobody of {pulse.name} lives", limit)


@pytest.fixture
def pulse(tmp_path: Path) -> Path:
    return new_pulse(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_population_does_not_outlive_its_actor(system: ProcessSystem, kind: Kind, how: str, pulse: Path) -> None:
    started = Started(system, Leaving)
    started.proxy.population(kind, str(pulse)).get(timeout=PATIENCE)
    wait_for_life(pulse)
    if how == "stopped":
        started.reference.stop()
    else:
        started.process.kill()
    started.wait_for_end()
    wait_for_extinction(pulse)


def test_a_daemon_that_leaves_the_tree_of_a_living_actor_is_ended(system: ProcessSystem) -> None:
    started = Started(system, Leaving)
    daemon = started.proxy.daemon_beside().get(timeout=PATIENCE)
    wait_until(lambda: not daemon or is_gone(daemon), "the daemon is gone")
    assert started.proxy.pid().get(timeout=PATIENCE) == started.process.pid
    started.reference.stop()


@pytest.mark.skipif(os.uname().machine not in {"x86_64", "aarch64"}, reason="the system call's number is not known")
def test_what_an_actor_makes_a_child_of_its_parent_is_ended(system: ProcessSystem) -> None:
    started = Started(system, Leaving)
    sibling = started.proxy.sibling_by_clone().get(timeout=PATIENCE)
    wait_until(lambda: is_gone(sibling), "the sibling is gone")
    started.reference.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_another_actors_end_does_not_wait_for_populations(system: ProcessSystem, kind: Kind, pulse: Path) -> None:
    hostile = Started(system, Leaving)
    hostile.proxy.populations_beside.defer(kind, str(pulse))
    for _ in range(3):
        hostile.listener.wait_for("output")
        other = Started(system, Leaving)
        other.reference.stop()
        assert other.wait_for_end().normal
    hostile.process.kill()
    hostile.wait_for_end()
    wait_for_extinction(pulse)


@first_always("kind", KINDS, keep=2)
def test_a_population_does_not_outlive_the_host(kind: Kind, pulse: Path) -> None:
    program = f"""
import sys
from population_actors import Leaving
from subactors.actors import ProcessActor
proxy = Leaving.start().proxy()
proxy.population({kind!r}, {str(pulse)!r}).get(timeout=30)
print("started", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "kit")},
    ) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "started\n"
        wait_for_life(pulse)
        host.kill()
        host.wait()
        wait_for_extinction(pulse, limit=2 * GONE_WITHIN)  # looking takes a while, too


@first_always("kind", KINDS, keep=2)
def test_a_marked_population_does_not_outlive_the_zygote(own_system: ProcessSystem, kind: Kind, pulse: Path) -> None:
    started = Started(own_system, Leaving)
    started.proxy.population(kind, str(pulse), marked=True).get(timeout=PATIENCE)
    wait_for_life(pulse)
    assert started.process.pid is not None
    os.kill(int(Path(f"/proc/{started.process.pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    started.wait_for_end()
    wait_for_extinction(pulse)


# --- tasks ------------------------------------------------------------------------------------------------------------


@first_always("kind", KINDS, keep=2)
def test_a_task_that_leaves_a_population_ends_and_the_next_one_too(kind: Kind, pulse: Path) -> None:
    team = entrypoint_team(leaving={"entrypoint": "populations:leaves"})
    with Runtime.from_mapping(team) as runtime:
        view = run_and_wait(runtime, "leaving", f"{kind}:{pulse}")
        assert (view.status, view.result) == ("completed", "left")
        assert not view.reason or "not gone by then" in view.reason
        assert run_and_wait(runtime, "echo", "hello").status == "completed"
        wait_for_extinction(pulse)
