"""What is in the host's main script, in processes of the context: by name where they find it, by value where not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from first_forms import first_always

PATIENCE = 60.0

KINDS = """
import sys
from subactors.actors import get_context

class Top: pass
def top(): return 1
counted = {"calls": 0}
def count():
    counted["calls"] += 1
    return counted["calls"]
def makes_more():
    global Made
    class Made: pass

if __name__ == "__main__":
    class Under: pass
    def under(): return top() + 1
    makes_more()
    context = get_context()
    queue = context.SimpleQueue()
    targets = {
        "a lambda": lambda: queue.put([Top(), top, Under(), under, under(), Made()]),
        "a function under the guard": None,
        "by name with a lambda": None,
    }
    def puts(): queue.put([Top(), top, Under(), under, under(), Made()])
    class Puts:
        def __call__(self, _): puts()
    targets["a function under the guard"] = puts
    for arguments in ({"target": targets["a lambda"]}, {"target": puts}, {"target": Puts(), "args": (lambda: 0,)}):
        process = context.Process(**arguments)
        process.start()
        found = queue.get()
        process.join()
        assert process.exitcode == 0
        assert [type(found[0]), found[1], type(found[2]), found[3]] == [Top, top, Under, under], found
        assert (found[4], type(found[5])) == (2, Made)
    process = context.Process(target=lambda: queue.put([count(), count(), counted["calls"]]))
    counted["calls"] = 40
    process.start()
    print(queue.get())
    process.join()
"""


def run(*arguments: str, folder: Path, code: int = 0) -> tuple[str, str]:
    """Run a program to its end, which comes: nothing here may hang."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_what_a_process_sends_back_is_of_the_hosts_own_classes_however_it_got_there(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(KINDS)
    # A function of the script's top counts in the script that the process has run; the variable that the lambda itself
    # uses is a copy of the host's.
    assert run("script.py", folder=tmp_path)[0].split("\n")[0] == "[1, 2, 40]"


PACKAGED = """
import sys
from concurrent.futures import ProcessPoolExecutor
from subactors.actors import get_context

class Own:
    def __init__(self, number): self.number = number

def double(own): return Own(own.number * 2)
def put(queue, own): queue.put(double(own))

def main():
    context = get_context()
    queue = context.SimpleQueue()
    process = context.Process(target=put, args=(queue, Own(4)))
    process.start()
    answer = queue.get()
    process.join()
    assert type(answer) is Own
    print(answer.number, process.exitcode, flush=True)
    with context.Pool(1) as pool:
        try:
            print(pool.apply(double, (Own(21),)).number, flush=True)
        except Exception as error:
            print(type(error).__name__, "main script" in str(error), "'double'" in str(error), flush=True)
"""
GUARD = "\nif __name__ == '__main__':\n    main()\n"


@pytest.mark.parametrize("guard", ["guarded", "not guarded"])
@first_always("way", ["package", "folder"])
def test_the_main_of_a_package_and_of_a_folder_works_and_pools_say_where_it_cannot(
    tmp_path: Path, way: str, guard: str
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__main__.py").write_text(PACKAGED + (GUARD if guard == "guarded" else "\nmain()\n"))

    said, _ = run(*(["-m", "package"] if way == "package" else ["package"]), folder=tmp_path)
    assert said.splitlines() == ["8 0", "42" if guard == "guarded" else "PicklingError True True"]


UNDER = """
from subactors.actors import get_context

def top(number): return number + 1

if __name__ == "__main__":
    def under(number): return top(number)
    with get_context().Pool(1) as pool:
        print(pool.map(top, [1, 2]), pool.map(str, ["__main__"]))
        calls = [lambda: pool.map(under, [1]), lambda: pool.apply(under, (1,)), lambda: list(pool.imap(under, [1]))]
        for call in calls:
            try:
                call()
            except Exception as error:
                print(type(error).__name__, "'under'" in str(error))
        print(pool.map(top, [3]))
"""


def test_a_pool_refuses_what_its_workers_would_not_find_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(UNDER)
    said = ["[2, 3] ['__main__']", *["PicklingError True"] * 3, "[4]"]
    assert run("script.py", folder=tmp_path)[0].splitlines() == said


def test_a_pool_of_a_host_without_a_file_refuses_its_functions(tmp_path: Path) -> None:
    program = UNDER.replace("print(pool.map(top, [1, 2]), pool.map(str, ['__main__']))", "")
    program = program.partition("        print(pool.map(top")[0]
    program += "        try: pool.map(top, [1])\n        except Exception as error: print(type(error).__name__)\n"
    assert run("-c", program, folder=tmp_path)[0].split() == ["PicklingError"]
