"""Functions that tests name as `entrypoint` of an agent; what they do to themselves is done on purpose.

They run in the tasks' processes. What they need to know is in the task's text.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ctypes
import itertools
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from processes_and_waits import wait_until
from subactors.runtime import EntrypointTask

_LONG = 600.0
"""Seconds; nobody waits for them to pass."""


def echo(task: EntrypointTask) -> str:
    """Answer what it was asked."""
    return task.text


async def echo_async(task: EntrypointTask) -> str:
    """Answer what it was asked, in an event loop."""
    await asyncio.sleep(0)
    return task.text


def report(task: EntrypointTask) -> dict[str, Any]:
    """Answer what it sees around it."""
    return {
        "id": task.id,
        "agent": task.agent,
        "text": task.text,
        "expected_output": task.expected_output,
        "stop_requested": task.stop_requested,
        "pid": os.getpid(),
        "thread": threading.current_thread() is threading.main_thread(),
        "directory": str(Path.cwd()),
        "environ": dict(os.environ),
        "path": sys.path,
        "stdin": sys.stdin.read(),
        "openai": "openai" in sys.modules,
    }


def meet(task: EntrypointTask) -> int:
    """Return its process id once as many as `count` are in `folder` at one moment."""
    place = json.loads(task.text)
    folder = Path(place["folder"])
    (folder / str(os.getpid())).touch()
    wait_until(lambda: len(list(folder.iterdir())) >= place["count"], "all of them met", limit=30)
    return os.getpid()


def where_it_works(_task: EntrypointTask) -> str:
    """Answer with the current directory."""
    return str(Path.cwd())


def says(task: EntrypointTask) -> str:
    """Say the task's text, and be done."""
    task.emit(task.text)
    return "said"


def says_at_length(task: EntrypointTask) -> str:
    """Say so many bytes of text, of which one character takes two, and begin at an odd place."""
    task.emit("x" + "é" * (int(task.text) // 2))
    return "said"


def floods(task: EntrypointTask) -> str:
    """Say so many lines of a kilobyte each."""
    for number in range(int(task.text)):
        task.emit(f"{number:09} ".ljust(999, "x") + "\n")
    return "said"


def floods_and_waits(task: EntrypointTask) -> None:
    """Say so many lines of a kilobyte each, then wait for a stop."""
    floods(task)
    task.wait_for_stop(_LONG)


def says_in_steps(task: EntrypointTask) -> str:
    """Say each of the texts as soon as the file that belongs to it is there."""
    for step in json.loads(task.text):
        wait_until(Path(step["after"]).exists, "the next step", limit=30)
        task.emit(step["text"])
    return "said"


def says_from_threads(task: EntrypointTask) -> str:
    """Say a hundred lines from each of four threads."""

    def speak(name: str) -> None:
        for number in range(100):
            task.emit(f"{name} {number}\n")

    threads = [threading.Thread(target=speak, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "said"


def says_after_its_answer(task: EntrypointTask) -> str:
    """Answer while a thread goes on speaking, but not for more than is kept: a loaded machine may take its time."""
    spoken = threading.Event()

    def speak() -> None:
        for _ in range(10_000):
            task.emit("more ")
            spoken.set()

    threading.Thread(target=speak, daemon=True).start()
    spoken.wait()
    return "answered"


def prints(task: EntrypointTask) -> str:
    """Write to standard output and error instead of emitting; below Python, too."""
    print("printed")
    print("printed", file=sys.stderr)
    os.write(1, b"\xff\x00\x00\x00\x09 raw\n")
    subprocess.run(["/bin/echo", "printed by a child"], check=True)
    task.emit("emitted")
    return "done"


def says_much(task: EntrypointTask) -> str:
    """Answer with more than a notice holds."""
    return f"{task.text * 5000} the end of it"


def raises(task: EntrypointTask) -> NoReturn:
    """Raise after some output."""
    task.emit("so far ")
    raise ValueError(task.text)


async def raises_async(task: EntrypointTask) -> NoReturn:
    """Raise in an event loop."""
    task.emit("so far ")
    raise ValueError(task.text)


class SilentError(Exception):
    """Has no text."""


def raises_without_words(task: EntrypointTask) -> NoReturn:
    """Raise something that says nothing."""
    task.emit("so far ")
    raise SilentError


def exits(task: EntrypointTask) -> NoReturn:
    """Exit as a script does."""
    task.emit("so far ")
    sys.exit(task.text)


def exits_at_once(task: EntrypointTask) -> NoReturn:
    """Exit without any cleaning up, with the status asked for."""
    task.emit("so far ")
    os._exit(int(task.text))


def segfaults(task: EntrypointTask) -> None:
    """Read what may not be read."""
    task.emit("so far ")
    _read_nothing()


def _read_nothing() -> None:
    ctypes.string_at(0)


def aborts(task: EntrypointTask) -> None:
    """End by SIGABRT."""
    task.emit("so far ")
    os.abort()


def breaks_protocol(task: EntrypointTask) -> None:
    """Write to the channel what no healthy process writes."""
    task.emit("so far ")
    bytes_of = {
        "kind": struct.pack(">IB", 1, 9) + b"x",
        "length": struct.pack(">IB", 2**31, 0),
        "garbage": struct.pack(">IB", 4, 0) + b"\xc1\xc1\xc1\xc1",
        "report": _frame({"type": "report", "body": {"type": "promoted", "to": "host"}}),
        "request": _frame({"type": "request", "request_id": 1, "body": {"type": "run", "agent": 5, "task": []}}),
        "torn": struct.pack(">IB", 1000, 0) + b"only this",
    }
    _channel().sendall(bytes_of[task.text])
    if task.text == "torn":
        os._exit(0)
    time.sleep(_LONG)


def _frame(message: dict[str, Any]) -> bytes:
    body = msgspec.msgpack.encode(message)
    return struct.pack(">IB", len(body), 0) + body


def _channel() -> socket.socket:
    """Return the socket to the host: the only one that a task's process has."""
    for descriptor in range(3, 100):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return socket.socket(fileno=os.dup(descriptor))
    raise AssertionError("no channel")


def asks_what_nobody_may(task: EntrypointTask) -> None:
    """Ask the supervisor to wait for what a timer cannot hold, then go on."""
    request = {"type": "wait", "task_ids": [], "mode": "any", "timeout": float(task.text)}
    _channel().sendall(_frame({"type": "request", "request_id": 77, "body": request}))
    task.emit("asked")
    task.wait_for_stop(_LONG)


def waits(task: EntrypointTask) -> str:
    """Wait for a stop, and answer what there is."""
    task.emit("so far ")
    task.wait_for_stop(_LONG)
    return "half of it"


def says_its_text(task: EntrypointTask) -> None:
    """Say what it was asked, and wait for a stop."""
    task.emit(task.text)
    task.wait_for_stop(_LONG)


def waits_for_file(task: EntrypointTask) -> str:
    """Wait for a file or a stop."""
    task.emit("so far ")
    wait_until(lambda: Path(task.text).exists() or task.stop_requested, "file or stop", limit=_LONG)
    return "the file is there"


def reads_file(task: EntrypointTask) -> str:
    """Answer with what is in a file; a named pipe makes it wait for whoever writes."""
    return Path(task.text).read_text()


def exits_with_file(task: EntrypointTask) -> None:
    """Wait for a file, then die at once."""
    task.emit("so far ")
    wait_until(Path(task.text).exists, "the file", limit=_LONG)
    os._exit(3)


async def waits_async(task: EntrypointTask) -> None:
    """Wait until it is cancelled, and tidy up."""
    task.emit("so far ")
    try:
        await asyncio.sleep(_LONG)
    finally:
        task.emit("tidied up")


async def raises_when_cancelled(task: EntrypointTask) -> None:
    """Wait until it is cancelled, and fail then."""
    task.emit("so far ")
    try:
        await asyncio.sleep(_LONG)
    finally:
        raise OSError("no room to save")


async def answers_when_cancelled(task: EntrypointTask) -> str:
    """Wait until it is cancelled, and answer all the same."""
    task.emit("so far ")
    try:
        await asyncio.sleep(_LONG)
    except asyncio.CancelledError:
        return "half of it"
    return "all of it"


def deaf(task: EntrypointTask) -> None:
    """Ignore everything, signals and exceptions too."""
    for number in {*signal.Signals} - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    task.emit("so far ")
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(_LONG)


def deaf_in_c(task: EntrypointTask) -> None:
    """Go round in C code with the interpreter's lock held, so that no Python code runs any more."""
    task.emit("so far ")
    collections.deque(itertools.repeat(None), maxlen=0)


def keeps_daemons(task: EntrypointTask) -> None:
    """Say the process ids of a job and a daemon that have sessions of their own, and wait."""
    from actor_classes import start_daemon  # noqa: PLC0415 - the other tasks need not pay for it

    job = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
    task.emit(json.dumps([job.pid, start_daemon()]))
    time.sleep(_LONG)


def lives_on_after_its_answer(_task: EntrypointTask) -> str:
    """Answer, with a thread that keeps the process alive."""
    threading.Thread(target=time.sleep, args=(_LONG,), daemon=False).start()
    return "answered"


def crashes_after_its_answer(task: EntrypointTask) -> str:
    """Answer, and have the interpreter's end go wrong."""
    del task
    threading.Thread(target=_exit_after_main_thread, daemon=False).start()
    return "answered"


def _exit_after_main_thread() -> None:
    threading.main_thread().join()
    os._exit(7)


async def leaves_a_stubborn_coroutine(task: EntrypointTask) -> str:
    """Answer, with a coroutine left behind that lets nobody cancel it."""

    async def stay() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(_LONG)

    task.emit("so far ")
    left = asyncio.create_task(stay())
    await asyncio.sleep(0)
    assert not left.done()
    return "answered"


def counts_certificates(task: EntrypointTask) -> int:
    """Return how many contexts with certificates of authorities its process has from the zygote."""
    del task
    certificates = sys.modules["subactors.runtime.net.certificates"]
    return int(certificates._authorities.cache_info().currsize)


def starts_a_process(task: EntrypointTask) -> None:
    """Say the id of a process that it leaves behind in a session of its own, then die."""
    left = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
    task.emit(str(left.pid))
    os._exit(3)


def yields(task: EntrypointTask) -> Iterator[str]:
    """Be a generator, which an entrypoint must not be."""
    yield task.text


def returns(task: EntrypointTask) -> object:
    """Return a value of the kind asked for."""
    from returned_values import returned  # noqa: PLC0415 - the other tasks need not pay for it

    return returned(task.text)


not_callable = 5
