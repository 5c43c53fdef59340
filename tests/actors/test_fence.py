"""The fence: a task reaches neither host nor zygote nor other tasks, and all that is its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import intruding_entrypoints
import pytest
from actor_classes import Worker
from process_listeners import Listener, Started
from processes_and_waits import wait_until
from subactors.actors import ProcessSystem, StartError, fence
from subactors.runtime import Runtime
from subactors.runtime.cli.doctor import examine
from team_mapping import problem
from teams import run_and_wait, speaking

KIND = fence.offer().kind

whole = pytest.mark.skipif(KIND != "signals and tracing", reason="this kernel bounds no signals (Linux 6.12)")
some = pytest.mark.skipif(KIND == "none", reason="this kernel has no Landlock")

SIGNALS = ["kill", "killpg", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal"]


def agent(function: str, **more: Any) -> dict[str, Any]:
    return {"entrypoint": f"intruding_entrypoints:{function}", **more}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    own = [
        name
        for name, value in vars(intruding_entrypoints).items()
        if getattr(value, "__module__", "") == "intruding_entrypoints"
    ]
    team = {name: agent(name) for name in own if not name.startswith("_")}
    team["privileged"] = agent("says_what_it_may", privileges="keep")
    team["limited"] = agent("stops_itself", limits={"wall_clock": 0.5})
    team["bounded"] = agent("raises_its_limits", limits={"memory": 200_000_000, "cpu": 10})
    settings = {"stop_grace": 0.3, "max_tasks": 10_000, "standby": 0}
    with Runtime.from_mapping({"agents": team}, **settings) as runtime:
        speaking(runtime, "stays")
        yield runtime


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=whole if way in SIGNALS else some) for way in intruding_entrypoints.WAYS]
)
def test_a_task_reaches_neither_host_nor_zygote_nor_another_task(runtime: Runtime, way: str) -> None:
    view = run_and_wait(runtime, "tries", way)
    assert view.result == {"host": "refused", "zygote": "refused", "sibling": "refused"}, view.reason


@whole
@pytest.mark.parametrize("way", ["kill", "/proc/PID/environ"])
def test_nor_does_a_program_that_it_starts(runtime: Runtime, way: str) -> None:
    view = run_and_wait(runtime, "tries_from_a_program", way)
    assert view.result == {"host": "refused", "zygote": "refused", "sibling": "refused"}, view.reason


@some
def test_it_does_not_raise_the_limits_that_it_was_given(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "bounded").result == ["refused", "refused"]


@some
def test_it_limits_itself_and_what_it_starts(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "limits_itself").result == [True, True]


@whole
def test_it_reaches_no_abstract_socket_of_others(runtime: Runtime) -> None:
    name = os.urandom(8).hex()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0" + name)
        listening.listen()
        assert run_and_wait(runtime, "connects", name).result == "refused"


def test_it_ends_what_it_has_started_in_a_process_system_of_its_own_too(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "ends_its_own")
    assert view.result == [-9, -9, True], view.reason


def test_it_reaches_its_own_abstract_sockets(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "talks_to_its_own").result == "hello"


@whole
def test_it_gains_no_privileges(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "says_what_it_may").result == {"no_new_privs": "1", "kill": "refused"}


def test_one_that_keeps_its_privileges_has_no_fence(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "privileged").result == {"no_new_privs": "0", "kill": "reached"}


def test_one_that_stops_itself_is_ended_by_its_limit(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "limited")
    assert (view.status, "wall_clock" in view.reason) == ("failed", True)


def test_one_that_stops_itself_can_be_stopped(runtime: Runtime) -> None:
    assert runtime.stop(speaking(runtime, "stops_itself"))[0].status == "stopped"


def test_privileges_are_dropped_or_kept() -> None:
    assert "choice of privileges" in problem("agents.a.privileges", a={"privileges": "more"})


def test_a_plain_actor_has_no_fence(own_system: ProcessSystem) -> None:
    started = Started(own_system, Worker)
    assert no_new_privileges(started) == "0"
    started.reference.stop()


def no_new_privileges(started: Started) -> str:
    status = Path(f"/proc/{started.process.pid}/status").read_text()
    return next(line.split()[1] for line in status.splitlines() if line.startswith("NoNewPrivs"))


@some
@pytest.mark.parametrize("fenced", [True, False])
def test_one_that_stands_by_is_not_taken_for_an_actor_that_is_to_be_fenced_otherwise(*, fenced: bool) -> None:
    system = ProcessSystem(fenced=fenced, standby=1)
    try:
        Started(system, Worker).reference.stop()
        wait_until(lambda: system._standby._waiting, "one stands by")
        (standing,) = [standby.pid for standby in system._standby._waiting.values()]
        other = system.spawn(Worker, listener=Listener(), fenced=not fenced)
        other.ready.result(30)
        same = Started(system, Worker)
        assert (other.pid == standing, same.process.pid == standing) == (False, True)
        assert no_new_privileges(same) == str(int(fenced))
    finally:
        system.close()


@some
def test_the_host_can_have_the_stacks_of_a_fenced_actor_written(tmp_path: Path) -> None:
    system = ProcessSystem(fenced=True)
    try:
        started = Started(system, Worker, capture=str(tmp_path / "log"))
        assert started.proxy.pid().get(timeout=30) == started.process.pid
        started.process.dump_stack()
        wait_until(lambda: "most recent call first" in (tmp_path / "log").read_text(), "the stacks are there")
        started.process.kill()
        assert started.wait_for_end().signal == 9
    finally:
        system.close()


def in_a_child(act: Callable[[], object]) -> bool:
    """Whether a function returns something true in a forked process."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if act() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@some
def test_where_signals_cannot_be_bounded_tracing_is_and_files_still_move(tmp_path: Path) -> None:
    ruleset = fence.make_ruleset("tracing")
    assert ruleset is not None
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "from" / "file").touch()

    def act() -> bool:
        fence.put_on(ruleset)
        (tmp_path / "from" / "file").rename(tmp_path / "to" / "file")
        os.kill(os.getppid(), 0)
        return intruding_entrypoints._try(intruding_entrypoints.WAYS["/proc/PID/mem"], os.getppid()) == "refused"

    assert in_a_child(act)
    os.close(ruleset)


@some
def test_where_no_fence_can_be_put_on_any_more_a_process_does_not_start(own_system: ProcessSystem) -> None:
    ruleset = fence.make_ruleset()
    assert ruleset is not None

    def act() -> bool:
        for _ in range(16):
            fence.put_on(ruleset)
        system = ProcessSystem(fenced=True)
        try:
            Started(system, Worker)
        except StartError as error:
            return "the kernel refused the fence around it" in str(error)
        finally:
            system.close()
        return False

    del own_system
    assert in_a_child(act)
    os.close(ruleset)


def test_doctor_and_runtime_say_what_the_fence_is(runtime: Runtime, tmp_path: Path) -> None:
    (found,) = [finding for finding in examine(str(tmp_path)) if finding.what == "fence"]
    assert found.how == runtime.fence.how
    assert (found.state == "ok") == (runtime.fence.kind == "signals and tracing")
