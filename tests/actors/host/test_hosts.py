"""Programs that embed actors: however they are started and however they end, nothing is left of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from processes_and_waits import GONE_WITHIN, children_of, is_gone, wait_until

PATIENCE = 40.0
TESTS = str(Path(__file__).parents[2] / "kit")


class Host:
    """A program of its own, whose first line of output may be the process ids of what it has started."""

    def __init__(self, *command: str, text: str = "", **keywords: Any) -> None:
        environ = {**os.environ, "PYTHONPATH": TESTS}
        self.program = subprocess.Popen(
            [sys.executable, *command],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **keywords,
        )
        if text:
            assert self.program.stdin is not None
            self.program.stdin.write(text)
            self.program.stdin.close()
            self.program.stdin = None

    def read_pids(self) -> dict[str, int]:
        """Return the process ids that the program says it has started."""
        assert self.program.stdout is not None
        line = self.program.stdout.readline()
        assert line, self.finish()[1]
        pids: dict[str, int] = json.loads(line)
        return pids

    def finish(self) -> tuple[str, str]:
        """Return what else it says, and its errors, when all that holds its output is gone."""
        return self.program.communicate(timeout=PATIENCE)

    def end(self) -> None:
        """End it, whatever it does."""
        if self.program.poll() is None:
            self.program.kill()
        with contextlib.suppress(ValueError):  # its output has been read to the end
            self.program.communicate(timeout=PATIENCE)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Start a program from its text, as a script unless other arguments for Python are given."""
    hosts: list[Host] = []

    def start(text: str, *options: str, **keywords: Any) -> Host:
        script = tmp_path / f"host_{len(hosts)}.py"
        script.write_text(text.replace("FOLDER", repr(str(tmp_path))))
        hosts.append(Host(*options, str(script), **keywords))
        return hosts[-1]

    yield start
    for host in hosts:
        host.end()


def all_gone(pids: dict[str, int]) -> None:
    """Wait until every process has ended."""
    wait_until(lambda: all(map(is_gone, pids.values())), f"all of {pids} are gone", limit=GONE_WITHIN)


CROWD = """
import json, os, signal, sys
from actor_classes import start_crowd
print(json.dumps(start_crowd(FOLDER)), flush=True)
"""


# --- hosts that end without a word ----------------------------------------------------------------------------------


def test_nothing_is_left_of_a_host_that_is_killed(run: Callable[..., Host]) -> None:
    host = run(CROWD + "signal.pause()\n")
    pids = host.read_pids()
    assert not any(map(is_gone, pids.values()))
    host.program.kill()
    all_gone(pids)


def test_nothing_is_left_of_a_killed_host_though_a_process_that_it_forked_lives_on(run: Callable[..., Host]) -> None:
    fork = "forked = os.fork()\nif not forked:\n    sys.stdout.close()\n    signal.pause()\n    os._exit(0)\n"
    host = run(
        CROWD.replace("print(", f"pids = start_crowd(FOLDER)\n{fork}pids['forked'] = forked\nprint(").replace(
            "json.dumps(start_crowd(FOLDER))", "json.dumps(pids)"
        )
        + "signal.pause()\n"
    )
    pids = host.read_pids()
    forked = pids.pop("forked")
    try:
        host.program.kill()
        all_gone(pids)
        assert not is_gone(forked)
    finally:
        os.kill(forked, signal.SIGKILL)


def test_nothing_is_left_of_a_host_that_is_killed_while_its_zygote_starts(run: Callable[..., Host]) -> None:
    host = run(
        "import signal, sys\n"
        "from subactors.actors import ProcessSystem\n"
        "system = ProcessSystem()\n"
        "system.prepare()\n"
        "signal.pause()\n"
    )
    wait_until(lambda: children_of(host.program.pid), "the zygote starts")
    (zygote,) = children_of(host.program.pid)
    host.program.kill()
    all_gone({"zygote": zygote})


@first_always(
    ("end", "status"),
    [
        ("os._exit(4)", 4),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
    ],
    ids=["os._exit", "SIGTERM", "SIGSEGV"],
)
def test_nothing_is_left_of_a_host_that_ends_at_once(run: Callable[..., Host], end: str, status: int) -> None:
    host = run(CROWD + end)
    pids = host.read_pids()
    host.finish()
    assert host.program.returncode == status
    all_gone(pids)


# --- hosts that end without closing ---------------------------------------------------------------------------------


def test_a_host_that_just_ends_takes_everything_with_it(run: Callable[..., Host]) -> None:
    host = run(CROWD)
    pids = host.read_pids()
    _, errors = host.finish()
    assert host.program.returncode == 0
    # Those that did not stop in time are told of, and nothing else is.
    assert [line.partition(": ")[2] for line in errors.splitlines()] == ["its process was killed"] * 2
    assert all(map(is_gone, pids.values()))


WORKER = """
import json, sys
from actor_classes import Worker
worker = Worker.start().proxy()
pids = {"worker": worker.pid().get(), "daemon": worker.grandchild("daemon").get()}
print(json.dumps(pids), flush=True)
"""


@pytest.mark.parametrize(
    ("end", "status", "says"),
    [("sys.exit(3)", 3, ""), ("raise RuntimeError('enough')", 1, "RuntimeError: enough")],
    ids=["sys.exit", "an exception"],
)
def test_a_host_that_ends_by_an_exception_takes_everything_with_it(
    run: Callable[..., Host], end: str, status: int, says: str
) -> None:
    host = run(WORKER + end)
    pids = host.read_pids()
    _, errors = host.finish()
    assert host.program.returncode == status
    assert says in errors
    assert all(map(is_gone, pids.values()))


def test_a_host_with_a_system_of_its_own_that_it_never_closes_takes_everything_with_it(
    run: Callable[..., Host],
) -> None:
    host = run(
        WORKER.replace("worker =", "Worker.system = ProcessSystem()\nworker =").replace(
            "import Worker", "import Worker\nfrom subactors.actors import ProcessSystem"
        )
    )
    pids = host.read_pids()
    assert host.finish() == ("", "")
    assert host.program.returncode == 0
    all_gone(pids)


def test_a_host_that_ends_while_an_actor_starts_takes_everything_with_it(run: Callable[..., Host]) -> None:
    host = run(
        "import threading\n"
        "from actor_classes import Echo\n"
        "from subactors.actors.host.default import default_system\n"
        "default_system().prepare()\n"
        "threading.Thread(target=Echo.start, daemon=True).start()\n"
    )
    said = host.finish()
    assert host.program.returncode == 0, said


# --- how a host is started ------------------------------------------------------------------------------------------

OWN_CLASS = """
from subactors.actors import ProcessActor

class Adder(ProcessActor):
    def __init__(self, start):
        super().__init__()
        self.total = start

    def add(self, number):
        self.total += number
        return self.total

adder = Adder.start(40).proxy()
print(adder.add(2).get())
adder.stop()
"""


def test_a_script_needs_no_guard_and_may_define_its_actors(run: Callable[..., Host]) -> None:
    assert run("print('once')\n" + OWN_CLASS).finish() == ("once\n42\n", "")


def test_a_program_on_the_command_line_may_define_its_actors() -> None:
    host = Host("-c", OWN_CLASS)
    assert host.finish() == ("42\n", "")


def test_a_program_on_standard_input_may_define_its_actors() -> None:
    host = Host("-", text=OWN_CLASS)
    assert host.finish() == ("42\n", "")


def test_a_module_may_be_the_program(tmp_path: Path) -> None:
    package = tmp_path / "program"
    package.mkdir()
    (package / "__main__.py").write_text(OWN_CLASS)
    assert Host("-m", "program", cwd=tmp_path).finish() == ("42\n", "")


@first_always("option", ["-I", "-E", "-s", "-O", "-B", "-Xdev", "-Werror"], keep=2)
def test_python_may_be_started_with_its_options(run: Callable[..., Host], option: str) -> None:
    assert run(OWN_CLASS, option).finish() == ("42\n", "")


def test_messages_may_be_of_classes_that_the_script_defines(run: Callable[..., Host]) -> None:
    program = """
import dataclasses
from subactors.actors import ProcessActor

@dataclasses.dataclass
class Order:
    what: str

class Shop(ProcessActor):
    def on_receive(self, message):
        match message:
            case Order(what):
                return f"one {what}"

shop = Shop.start()
print(shop.ask(Order("lemon")), shop.ask(Order("pear")))
shop.stop()
"""
    assert run(program).finish() == ("one lemon one pear\n", "")


def test_a_host_may_have_threads_and_processes_of_its_own(run: Callable[..., Host]) -> None:
    program = """
import multiprocessing, threading
from actor_classes import Echo

def square(number):
    return number * number

if __name__ == "__main__":
    echo = Echo.start()
    threads = [threading.Thread(target=echo.ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, [1, 2, 3]))
    for thread in threads:
        thread.join()
    print(echo.ask("still here"))
"""
    output, _ = run(program).finish()
    assert output == "fork [1, 4, 9]\nspawn [1, 4, 9]\nstill here\n"


def test_a_process_that_a_host_forked_may_have_actors_of_its_own(run: Callable[..., Host]) -> None:
    program = """
import multiprocessing
from actor_classes import Worker

def work(queue):
    worker = Worker.start()
    queue.put([worker.proxy().pid().get(), worker.stop()])
    from subactors.actors.host.default import default_system
    default_system().close()

if __name__ == "__main__":
    mine = Worker.start()
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    pid, stopped = queue.get()
    process.join()
    print(stopped, pid != mine.proxy().pid().get(), process.exitcode)
"""
    output, _ = run(program).finish()
    assert output == "True True 0\n"


def test_an_interrupt_at_the_terminal_is_the_hosts_alone(run: Callable[..., Host]) -> None:
    program = """
import os, signal
from actor_classes import Worker
worker = Worker.start().proxy()
try:
    os.killpg(0, signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("interrupted", worker.session_and_group().get() == [worker.pid().get()] * 2)
"""
    assert run(program, start_new_session=True).finish() == ("interrupted True\n", "")


def test_a_scheduling_policy_that_somebody_chose_for_the_host_is_its_actors_too(run: Callable[..., Host]) -> None:
    program = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
from actor_classes import Worker
worker = Worker.start().proxy()
print(worker.scheduling_policy().get() == os.SCHED_IDLE)
"""
    assert run(program).finish() == ("True\n", "")


def test_a_host_without_standard_streams_has_actors_too(run: Callable[..., Host], tmp_path: Path) -> None:
    program = """
import os, sys
for number in range(3):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
from actor_classes import Echo
answer = Echo.start().ask("well")
with open(os.path.join(FOLDER, "answer"), "w") as file:
    file.write(answer)
"""
    run(program).finish()
    assert (tmp_path / "answer").read_text() == "well"


def test_importing_starts_nothing_and_says_nothing(run: Callable[..., Host]) -> None:
    program = """
import os, signal, threading
before = {number: signal.getsignal(number) for number in signal.valid_signals()}
import subactors.actors
assert before == {number: signal.getsignal(number) for number in signal.valid_signals()}
assert threading.active_count() == 1
print(os.listdir("/proc/self/task") == [str(os.getpid())], open(f"/proc/self/task/{os.getpid()}/children").read())
"""
    assert run(program).finish() == ("True \n", "")
