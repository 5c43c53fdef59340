"""Hosts of the `multiprocessing` context, as programs: their main script, their exit, and their death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from first_forms import first_always
from processes_and_waits import GONE_WITHIN, descendants_of, is_gone, wait_until

PATIENCE = 30.0
LOOKS = 8
ENVIRON = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2] / "kit"), os.environ.get("PYTHONPATH", "")]),
}


def run(*arguments: str, code: int = 0, script: str | None = None, folder: Path | None = None) -> str:
    """Run a program to its end; return what it has printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=ENVIRON,
        cwd=folder,
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def written(folder: Path, text: str) -> str:
    script = folder / "script.py"
    script.write_text(text)
    return str(script)


UNGUARDED = """
import context_targets as targets
from subactors.actors import get_context

print("the script runs")
context = get_context()
queue = context.SimpleQueue()
process = context.Process(target=targets.put, args=(queue, "put"))
process.start()
print(queue.get())
process.join()
"""


def test_a_script_without_a_guard_runs_once_where_nothing_of_it_is_wanted(tmp_path: Path) -> None:
    assert run(written(tmp_path, UNGUARDED)).splitlines() == ["the script runs", "put"]


OF_ITS_OWN = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from subactors.actors import get_context

print(__name__, flush=True)

class Own:
    def __init__(self, number): self.number = number
    def __eq__(self, other): return type(other) is Own and other.number == self.number

def double(own): return Own(own.number * 2)

def nested(queue):
    with ProcessPoolExecutor(1, mp_context=get_context()) as pool:
        queue.put(pool.submit(double, Own(4)).result())

if __name__ == "__main__":
    context = get_context()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(double, Own(21)).result() == Own(42)
        assert list(pool.map(double, [Own(1), Own(2)])) == [Own(2), Own(4)]
    queue = context.SimpleQueue()
    process = context.Process(target=nested, args=(queue,))
    process.start()
    assert queue.get() == Own(8)
    process.join()
    assert process.exitcode == 0
"""


def test_a_script_is_run_where_something_of_it_is_wanted_once_in_each_process(tmp_path: Path) -> None:
    # The worker, the process, and the worker of the process; a script by its file, and one that is run as a module.
    names = ["__main__", "__mp_main__", "__mp_main__", "__mp_main__"]
    script = written(tmp_path, OF_ITS_OWN)
    assert run(script).split() == names

    package = tmp_path / "package"
    package.mkdir()
    (package / "inner.py").write_text(OF_ITS_OWN)
    assert run("-m", "package.inner", folder=tmp_path).split() == names


BOMB = """
from subactors.actors import get_context

def work(): pass

process = get_context().Process(target=work)
process.start()
process.join()
raise SystemExit(process.exitcode)
"""


def test_a_script_without_a_guard_whose_own_is_wanted_is_told_so(tmp_path: Path) -> None:
    assert "if __name__ == '__main__':" in run(written(tmp_path, BOMB), code=1)


WITHOUT_A_FILE = """
from subactors.actors import get_context
factor = 3
def work(queue, number): queue.put(factor * number)
context = get_context()
queue = context.SimpleQueue()
process = context.Process(target=work, args=(queue, 4))
process.start()
print(queue.get())
process.join()
"""


def test_a_host_without_a_file_gives_its_functions_by_value() -> None:
    assert run("-c", WITHOUT_A_FILE).split() == ["12"]
    assert run("-", script=WITHOUT_A_FILE).split() == ["12"]


def test_a_script_that_comes_over_a_pipe_gives_its_functions_by_value(tmp_path: Path) -> None:
    script = tmp_path / "script"
    os.mkfifo(script)
    reader, writer = os.pipe()
    os.write(writer, WITHOUT_A_FILE.encode())
    os.close(writer)

    for path in (str(script), f"/dev/fd/{reader}"):
        command = [sys.executable, path]
        with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, text=True, pass_fds=[reader]) as host:
            if path == str(script):
                script.write_text(WITHOUT_A_FILE)
            try:
                said, _ = host.communicate(timeout=PATIENCE)
            finally:
                host.kill()
        assert said.split() == ["12"]
    os.close(reader)


LEAVING = """
import multiprocessing, os, sys, time
from pathlib import Path
from subactors.actors import ProcessActor, get_context

folder = Path(sys.argv[1])

class Leaves(ProcessActor):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder
    def on_stop(self):
        (self.folder / f"stopped {os.getpid()}").touch()

def slow(folder):
    time.sleep(0.3)
    (folder / "finished").touch()

def endless(folder):
    time.sleep(60)

def inner(folder):
    leave(folder / "inner")

def leave(folder):
    folder.mkdir(exist_ok=True)
    Leaves.start(folder)
    context = get_context()
    context.Process(target=slow, args=(folder,)).start()
    context.Process(target=endless, args=(folder,), daemon=True).start()

if __name__ == "__main__":
    if "early" in sys.argv:
        import multiprocessing.util
    leave(folder)
    if "nested" in sys.argv:
        get_context().Process(target=inner, args=(folder,)).start()
"""


@first_always("when", ["early", "late", "nested"])
def test_a_host_that_exits_waits_ends_daemons_and_stops_actors_politely(tmp_path: Path, when: str) -> None:
    folder = tmp_path / "seen"
    folder.mkdir()
    run(written(tmp_path, LEAVING), str(folder), when)

    for left in [folder, folder / "inner"] if when == "nested" else [folder]:
        names = {path.name.split()[0] for path in left.iterdir()}
        assert {"finished", "stopped"} <= names


KILLED = """
import sys, time
import context_targets as targets
from concurrent.futures import ProcessPoolExecutor
from subactors.actors import get_context

if __name__ == "__main__":
    import json
    context = get_context()
    kind = sys.argv[1]
    if kind == "processes":
        queue = context.SimpleQueue()
        for _ in range(3):
            context.Process(target=targets.start_sleepers, args=(queue,)).start()
        pids = [pid for _ in range(3) for pid in queue.get()]
    elif kind == "pool":
        pool = context.Pool(3)
        pids = sum(pool.map(targets.sleepers_of_a_worker, range(6), chunksize=1), [])
    else:
        pool = ProcessPoolExecutor(3, mp_context=context)
        pids = sum(pool.map(targets.sleepers_of_a_worker, range(6)), [])
    print(json.dumps(pids), flush=True)
    time.sleep(60)
"""


@first_always("kind", ["processes", "pool", "executor"])
def test_a_killed_host_leaves_nothing(tmp_path: Path, kind: str) -> None:
    script = written(tmp_path, KILLED)
    with subprocess.Popen([sys.executable, script, kind], env=ENVIRON, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pids = json.loads(host.stdout.readline())
        everything = {process.pid for process in descendants_of(host.pid)} | set(pids)
        host.send_signal(signal.SIGKILL)

    wait_until(
        lambda: all(is_gone(pid) for pid in everything), f"{len(everything)} processes are gone", limit=GONE_WITHIN
    )


INTERRUPTED = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from subactors.actors import get_context

def work(queue, depth):
    if depth:
        inner = get_context().Process(target=work, args=(queue, depth - 1))
        inner.start()
        if depth % 2:
            time.sleep(600)
        inner.join()
    queue.put("runs")
    time.sleep(600)

if __name__ == "__main__":
    how = sys.argv[1]
    context = get_context()
    queue = context.SimpleQueue()
    processes = [context.Process(target=work, args=(queue, int(sys.argv[2]))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        queue.get()
    if how == "join":
        print("ready", flush=True)
        processes[0].join()
    elif how == "sleep":
        print("ready", flush=True)
        time.sleep(600)
    elif how == "queue":
        print("ready", flush=True)
        queue.get()
    else:
        try:
            print("ready", flush=True)
            processes[0].join()
        except KeyboardInterrupt:
            print("caught", flush=True)
"""


@contextmanager
def _ready(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A host that has said that it is ready; killed at the end, where it has not ended."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as host:
        try:
            assert host.stdout is not None
            assert host.stdout.readline() == "ready\n"
            yield host
        finally:
            host.kill()


def _sleeps(pid: int, looks: list[bool]) -> bool:
    """Whether the main thread sleeps, at this look and at the last ones."""
    looks.append(Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
    return len(looks) > LOOKS and all(looks[-LOOKS:])


@first_always(
    ("how", "depth"), [("join", "1"), ("sleep", "1"), ("queue", "1"), ("caught", "1"), ("join", "0"), ("join", "2")]
)
def test_one_interrupt_ends_a_host_and_the_processes_that_its_exit_waits_for(
    tmp_path: Path, how: str, depth: str
) -> None:
    script = written(tmp_path, INTERRUPTED)
    with _ready(script, how, depth) as host:
        everything = {process.pid for process in descendants_of(host.pid)}
        # It has come to its wait: before that, what it catches is nothing that this package hears of.
        looks: list[bool] = []
        wait_until(lambda: _sleeps(host.pid, looks), "it waits")
        host.send_signal(signal.SIGINT)  # once, and to the host alone, as it is alone in its group
        said, errors = host.communicate(timeout=PATIENCE)

    assert host.returncode == (0 if how == "caught" else -signal.SIGINT), errors
    assert said == ("caught\n" if how == "caught" else "")
    wait_until(lambda: all(is_gone(pid) for pid in everything), "all are gone", limit=GONE_WITHIN)


COUNTING = """
import signal, sys, time
from multiprocessing import util
from subactors.actors import get_context

def work(ready, last):
    seen = []
    signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    ready.put("runs")
    last.get()
    print(len(seen), flush=True)

if __name__ == "__main__":
    context = get_context()
    ready, last = context.SimpleQueue(), context.SimpleQueue()
    process = context.Process(target=work, args=(ready, last))
    process.start()
    ready.get()
    # The exit has passed on by now what it passes on, and does not yet wait for the process.
    util.Finalize(None, last.put, args=("that was the last",), exitpriority=50)
    print("ready", flush=True)
    process.join()
"""


def test_one_interrupt_is_one_signal_to_each_process_whether_its_wait_or_its_exit_passes_it_on(tmp_path: Path) -> None:
    with _ready(written(tmp_path, COUNTING)) as host:
        looks: list[bool] = []
        wait_until(lambda: _sleeps(host.pid, looks), "it waits")
        host.send_signal(signal.SIGINT)
        said, errors = host.communicate(timeout=PATIENCE)

    assert said == "1\n", errors


def test_the_example_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    readme = Path(__file__).parents[3] / "actors" / "README.md"
    example = readme.read_text().partition("## As `multiprocessing`")[2].partition("```python\n")[2].partition("```")[0]

    assert run(written(tmp_path, example)).splitlines() == ["[3, 2, 1]", "from a process"]
