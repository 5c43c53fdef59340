"""Programs that embed the runtime, as programs of their own: however they are started, whatever else they do."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from host_programs import CROWD, RUN, SAY, START, Host
from processes_and_waits import GONE_WITHIN, children_of, is_gone, wait_until

Start = Callable[..., Host]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program from its text: as a script, or else with the arguments given."""
    hosts: list[Host] = []

    def run(text: str, *arguments: str, **keywords: Any) -> Host:
        script = tmp_path / "host.py"
        script.write_text(text)
        hosts.append(Host(tmp_path, *(arguments or [str(script)]), **keywords))
        return hosts[-1]

    yield run
    for host in hosts:
        host.end()


# --- how it is started ----------------------------------------------------------------------------------------------


def test_a_script_needs_no_guard(start: Start) -> None:
    # Were it run again in a task's process, it would print, and start tasks, once more.
    assert start(RUN).finish() == (0, "completed hello\n", "")


def test_a_program_on_the_command_line_works(start: Start) -> None:
    assert start("", "-c", RUN).finish() == (0, "completed hello\n", "")


def test_a_program_on_standard_input_works(start: Start, tmp_path: Path) -> None:
    (tmp_path / "program").write_text(RUN)

    with (tmp_path / "program").open() as program:
        assert start("", "-", stdin=program).finish() == (0, "completed hello\n", "")


def test_a_script_finds_entrypoints_in_its_own_folder(start: Start, tmp_path: Path) -> None:
    (tmp_path / "kitchen.py").write_text("def cook(task):\n    return f'cooked {task.text}'\n")
    text = RUN.replace('"echo", "hello"', '"cook", "soup"').replace(
        "with Runtime", 'team["agents"]["cook"] = {"entrypoint": "kitchen:cook"}\nwith Runtime'
    )

    assert start(text).finish() == (0, "completed cooked soup\n", "")


def test_optimised_and_isolated_interpreters_work(start: Start, tmp_path: Path) -> None:
    script = str(tmp_path / "host.py")

    assert start(RUN, "-OO", script).finish() == (0, "completed hello\n", "")
    text = f"import sys; sys.path.append({str(Path(__file__).parent / 'kit')!r})\n{RUN}"
    assert start(text, "-I", script).finish() == (0, "completed hello\n", "")


def test_a_host_may_use_it_in_a_thread(start: Start) -> None:
    body = "\n".join(f"    {line}" for line in RUN.splitlines())
    text = (
        f"import threading\ndef work():\n{body}\nthread = threading.Thread(target=work)\nthread.start(); thread.join()"
    )

    assert start(text).finish() == (0, "completed hello\n", "")


def test_a_host_may_have_threads_and_processes_of_its_own(start: Start) -> None:
    text = (
        START
        + """
import concurrent.futures, multiprocessing

def double(number):
    return 2 * number

if __name__ == "__main__":  # for multiprocessing
    with Runtime.from_mapping(team) as runtime, concurrent.futures.ThreadPoolExecutor(4) as threads:
        one = runtime.run("waits", "x")
        for method in ("fork", "spawn"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                views = threads.map(lambda n: runtime.wait([runtime.run("echo", str(n))])[0], range(4))
                print(method, pool.map(double, range(3)), [view.result for view in views])
        print(runtime.stop(one)[0].status)
"""
    )
    status, output, _ = start(text).finish()

    assert (status, output) == (
        0,
        "fork [0, 2, 4] ['0', '1', '2', '3']\nspawn [0, 2, 4] ['0', '1', '2', '3']\nstopped\n",
    )


def test_processes_that_a_host_forks_while_the_runtime_starts_do_not_hold_it_up(start: Start) -> None:
    text = (
        START
        + """
import os, signal, time
runtime = Runtime.from_mapping(team)
forked = []
for _ in range(12):  # and they live on
    forked.append(os.fork())
    if forked[-1] == 0:
        signal.pause()
(view,) = runtime.wait([runtime.run("echo", "hello")], timeout=20)
print(view.status)
runtime.close()
for pid in forked:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""
    )
    status, output, _ = start(text).finish()

    assert (status, output) == (0, "completed\n")


def test_a_process_that_the_host_has_forked_may_make_a_runtime_of_its_own(start: Start) -> None:
    text = (
        START
        + """
import os, sys
with Runtime.from_mapping(team) as runtime:
    task_id = runtime.run("waits", "x")
    child = os.fork()
    if child == 0:
        with Runtime.from_mapping(team) as own:
            (view,) = own.wait([own.run("echo", "from the child")])
            print(view.status, view.result, flush=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), runtime.stop(task_id)[0].status)
"""
    )
    status, output, _ = start(text).finish()

    assert (status, output) == (0, "completed from the child\n0 stopped\n")


def test_a_fork_in_the_middle_of_an_import_of_ours_costs_the_forked_process_nothing(start: Start) -> None:
    text = (
        START
        + """
import os, sys, threading
class Slow:
    asked, go_on = threading.Event(), threading.Event()
    def find_spec(self, name, path=None, target=None):
        if name == "subactors.runtime.runs.upkeep":
            self.asked.set()
            self.go_on.wait(20)
sys.meta_path.insert(0, Slow())
with Runtime.from_mapping(team) as runtime:
    task_id = runtime.run("waits", "x")
    Slow.asked.wait(20)
    threading.Timer(0.1, Slow.go_on.set).start()
    child = os.fork()
    if child == 0:
        import subactors.runtime.runs.upkeep
        print("imported", flush=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), runtime.stop(task_id)[0].status)
"""
    )
    status, output, _ = start(text).finish()

    assert (status, output) == (0, "imported\n0 stopped\n")


def test_a_host_without_standard_streams_works(start: Start, tmp_path: Path) -> None:
    text = "import os\nfor number in range(3): os.close(number)\n" + RUN.replace(
        "print(view.status, view.result)", "open('result', 'w').write(f'{view.status} {view.result}')"
    )

    assert start(text).finish()[0] == 0
    assert (tmp_path / "result").read_text() == "completed hello"


# --- what it does to the host ---------------------------------------------------------------------------------------


def test_importing_is_cheap_starts_nothing_and_says_nothing(start: Start) -> None:
    text = """
import os, signal, sys, threading
before = [signal.getsignal(number) for number in range(1, 65)], os.listdir("/proc/self/fd")
import subactors.runtime
import subactors.actors
after = [signal.getsignal(number) for number in range(1, 65)], os.listdir("/proc/self/fd")
print([name for name in ("openai", "httpx", "mcp", "yaml", "psutil", "rich", "click", "asyncio", "multiprocessing",
                         "subactors.runtime.orchestrator") if name in sys.modules])
print(threading.active_count(), before == after)
"""
    assert start(text).finish() == (0, "[]\n1 True\n", "")


def test_a_running_runtime_leaves_signals_and_standard_streams_alone(start: Start) -> None:
    text = (
        START
        + """
import signal
before = [signal.getsignal(number) for number in range(1, 65)], signal.pthread_sigmask(signal.SIG_BLOCK, [])
with Runtime.from_mapping(team) as runtime:
    runtime.wait([runtime.run(agent, "x") for agent in ("segfaults", "prints", "echo")])
    after = [signal.getsignal(number) for number in range(1, 65)], signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert before == after
"""
    )
    assert start(text).finish() == (0, "", "")


def test_a_host_that_stops_all_its_pykka_actors_can_close_what_is_left(start: Start) -> None:
    text = (
        START
        + """
import pykka, threading, time
from subactors.runtime import RuntimeClosedError
runtime = Runtime.from_mapping(team)
task_id = runtime.run("waits", "x")
while not runtime.view(task_id).output:
    time.sleep(0.01)
outcomes = []
def wait():
    try:
        outcomes.append(runtime.wait([task_id])[0].status)
    except RuntimeClosedError:
        outcomes.append("closed")
waiting = threading.Thread(target=wait)
waiting.start()
pykka.ActorRegistry.stop_all()
waiting.join()
try:
    runtime.list()
except RuntimeClosedError as error:
    print(error)
runtime.close()
print(len(outcomes), threading.active_count())
"""
    )
    status, output, errors = start(text).finish()

    assert (status, output, errors) == (0, "The runtime is closed.\n1 1\n", "")


# --- how it ends ----------------------------------------------------------------------------------------------------


def test_nothing_is_left_two_seconds_after_a_host_is_killed(start: Start) -> None:
    host = start(CROWD + SAY + "time.sleep(600)")
    pids = json.loads(host.read_line())
    pids += children_of(host.program.pid)

    host.program.kill()

    wait_until(lambda: all(map(is_gone, pids)), "all of it is gone", limit=GONE_WITHIN)


@first_always(
    ("end", "status"),
    [("", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1), ("os._exit(4)", 4), ("os.kill(os.getpid(), 15)", -15)],
    ids=["by itself", "by sys.exit", "by an exception", "by os._exit", "by a signal"],
)
def test_a_host_that_forgets_to_close_takes_everything_with_it(start: Start, end: str, status: int) -> None:
    host = start(CROWD + SAY + end)
    pids = json.loads(host.read_line())

    assert host.finish()[0] == status

    wait_until(lambda: all(map(is_gone, pids)), "all of it is gone", limit=GONE_WITHIN)
    if status in {0, 1, 3}:  # the interpreter has closed the runtime
        assert list(host.temporary.iterdir()) == []


def test_an_exception_in_the_host_ends_its_tasks_and_goes_on(start: Start) -> None:
    text = (
        START
        + """
try:
    with Runtime.from_mapping(team) as runtime:
        task_id = runtime.run("waits", "x")
        raise KeyError("of the host")
except KeyError as error:
    print(error)
"""
    )
    assert start(text).finish() == (0, "'of the host'\n", "")


def test_an_interrupt_at_the_terminal_ends_the_hosts_wait_and_then_its_tasks(start: Start) -> None:
    # Tasks are in sessions of their own, so it reaches the host alone; which decides what it means.
    text = """
try:
    print(pids, flush=True)
    runtime.wait()
except KeyboardInterrupt:
    print([view.status for view in runtime.list()], flush=True)
runtime.close()
"""
    host = start(CROWD + text, start_new_session=True)
    pids = json.loads(host.read_line())

    os.killpg(host.program.pid, signal.SIGINT)

    assert host.finish() == (0, "['running', 'running', 'running', 'running']\n", "")
    assert all(map(is_gone, pids))


@first_always(("wait", "grace"), [("runtime.wait()", 0.3), ("list(runtime.events())", 0.3), ("runtime.close()", 600)])
def test_an_interrupt_that_another_thread_catches_ends_a_wait_all_the_same(
    start: Start, wait: str, grace: float
) -> None:
    # As one that comes when the main thread is about to sleep: it is noted, and wakes nobody.
    text = f"""
import signal, sys, threading, time
begins = threading.Event()
def interrupt():
    begins.wait()
    looks = 0
    while looks < 5:
        frame = sys._current_frames()[threading.main_thread().ident]
        looks = looks + 1 if frame.f_code is threading.Condition.wait.__code__ else 0
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    begins.set()
    {wait}
except KeyboardInterrupt:
    print("interrupted", flush=True)
runtime.close()
"""
    assert start(CROWD.replace("stop_grace=0.3", f"stop_grace={grace}") + text).finish() == (0, "interrupted\n", "")


def test_an_interrupt_while_the_runtime_is_being_closed_kills_what_still_runs(start: Start) -> None:
    text = """
import threading
from subactors.runtime import TaskEnded
events = runtime.events()
def tell():
    for event in events:
        if isinstance(event, TaskEnded) and event.task.agent == "waits":
            print("one has ended, two do not", flush=True)
threading.Thread(target=tell).start()
print(pids, flush=True)
try:
    runtime.close()
except KeyboardInterrupt:
    print("interrupted")
"""
    host = start(CROWD.replace("stop_grace=0.3", "stop_grace=600") + text)
    pids = json.loads(host.read_line())
    host.read_line()

    host.program.send_signal(signal.SIGINT)

    assert host.finish() == (0, "interrupted\n", "")
    assert all(map(is_gone, pids))
    assert list(host.temporary.iterdir()) == []
