"""The interpreter's private parts that the zygote and its children call, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

ENDS = """
import atexit, os, threading
from subactors.actors import cpython

arrived = threading.Event()

def work():
    arrived.wait()
    print("the thread", flush=True)

threading.Thread(target=work).start()
atexit.register(print, "the exit function", flush=True)
arrived.set()
assert getattr(threading, cpython.SHUTDOWN_LOCKS, True)
cpython.end_threads()
cpython.run_exit_functions()
os._exit(0)
"""

FORGETS = """
import atexit, multiprocessing.util
from subactors.actors import cpython

atexit.register(print, "forgotten", flush=True)
cpython.forget_exit_functions()
assert cpython.exit_function_of_multiprocessing() is not None
atexit.register(print, "kept", flush=True)
"""

LOGS = """
import gc, logging
from subactors.actors import cpython

kept = logging.StreamHandler()
assert kept in list(cpython.handlers_of_logging())
del kept
gc.collect()
assert not any(type(handler) is logging.StreamHandler for handler in cpython.handlers_of_logging())
"""

FOLLOWS = """
import signal, threading
from subactors.actors import cpython

cpython.run_what_follows_a_fork()
assert threading.active_count() == 1
cpython.set_signal_handler(int(signal.SIGUSR1), int(signal.SIG_IGN))
assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN

def answer():
    return 42

before = answer.__code__
cpython.use_new_code([answer])
assert answer.__code__ is not before and answer.__code__ == before and answer() == 42
"""

LOOPS = """
import asyncio, sys, threading
from subactors.actors import cpython

loop = asyncio.new_event_loop()
task = loop.create_task(asyncio.sleep(600))
loop.run_until_complete(asyncio.sleep(0))
loop._thread_id = threading.get_ident()  # as if it had been interrupted
asyncio._set_running_loop(loop)
cpython.forget_running_loop()
assert asyncio._get_running_loop() is None
cpython.give_up_loop(loop)
loop.close()
loop.call_exception_handler = print
del task
"""

INHERITS = """
import multiprocessing, sys
from multiprocessing import resource_tracker
from subactors.actors import cpython

assert cpython.tracker_of_multiprocessing()._fd is None
assert resource_tracker.getfd() == cpython.tracker_of_multiprocessing()._fd
context = multiprocessing.get_context("spawn")
with cpython.inheriting(), cpython.inheriting():
    try:
        context.Process(target=print).start()
    except RuntimeError:
        print("refused", flush=True)
process = context.Process(target=print)
process.start()
process.join()
assert not cpython.is_being_imported(multiprocessing)
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [
        pytest.param(ENDS, ["the thread", "the exit function"], id="an end waits for threads, then calls functions"),
        pytest.param(FORGETS, ["kept"], id="functions that were registered before are forgotten"),
        pytest.param(LOGS, [], id="handlers are those that there are"),
        pytest.param(FOLLOWS, [], id="what follows a fork can be run without one"),
        pytest.param(LOOPS, [], id="a loop that was interrupted can be closed, and says nothing"),
        pytest.param(INHERITS, ["refused", ""], id="whoever inherits starts no process, and does so afterwards"),
    ],
)
def test_the_private_parts_do_what_they_are_called_for(program: str, said: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.split("\n")[:-1] == said
