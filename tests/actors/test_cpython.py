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


@pytest.mark.parametrize(
    ("program", "said"),
    [
        pytest.param(ENDS, ["the thread", "the exit function"], id="an end waits for threads, then calls functions"),
        pytest.param(FORGETS, ["kept"], id="functions that were registered before are forgotten"),
        pytest.param(LOGS, [], id="handlers are those that there are"),
        pytest.param(FOLLOWS, [], id="what follows a fork can be run without one"),
    ],
)
def test_the_private_parts_do_what_they_are_called_for(program: str, said: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.split("\n")[:-1] == said
