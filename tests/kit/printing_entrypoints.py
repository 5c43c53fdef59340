"""Functions that print, each in its own way, for tests that name them as entrypoint or as model of an agent.

What is printed when this module is imported is to be heard by nobody: the module is imported ahead, for all tasks.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import io
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from processes_and_waits import wait_until
from subactors.runtime import EntrypointTask

print("imported, on standard output")
print("imported, on standard error", file=sys.stderr)
os.write(1, b"imported, on descriptor 1\n")

KEPT = logging.getLogger("printing_entrypoints.kept")
"""Its handler has kept the standard error that it found at its import."""

KEPT.addHandler(logging.StreamHandler())
KEPT.propagate = False


def in_order(task: EntrypointTask) -> None:
    """Print and emit by turns, with and without the ends of lines."""
    print("one")
    task.emit("two\n")
    print("three", end=" ")
    task.emit("four ")
    print("five", file=sys.stderr)
    sys.stdout.writelines(["six\n", "seven\n"])
    logging.getLogger("printing_entrypoints").warning("eight")
    KEPT.warning("nine")
    sys.stdout.buffer.write(b"ten\n")
    print("eleven", end="")


def waits(task: EntrypointTask) -> None:
    """Print a line and half a line, and go on."""
    print("a line")
    print("half a line", end="")
    task.wait_for_stop(600)


def crashes(_task: EntrypointTask) -> None:
    """Print half a line, and die."""
    print("half a line", end="")
    os.kill(os.getpid(), signal.SIGKILL)


def any_text(_task: EntrypointTask) -> None:
    """Print what not every stream can take."""
    print("half \ud800 whole \ud83d\ude00 name \udcff")
    for piece in (b"b\xc3", b"\xa4h\n", b"\xff\n"):
        sys.stdout.buffer.write(piece)
    sys.stdout.write("")
    with contextlib.suppress(TypeError):
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]


def puts_another_stream_around(_task: EntrypointTask) -> None:
    """Do with the streams what scripts do that want another encoding."""
    stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", line_buffering=True)
    stream.write("through another\n")
    stream.close()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    sys.stdout.detach().write(b"through what is below\n")  # type: ignore[union-attr]
    sys.stdout.close()
    with contextlib.redirect_stdout(io.StringIO()):
        print("to nobody")
    sys.stdout = sys.__stdout__
    print("as before")


def describes_itself(_task: EntrypointTask) -> dict[str, Any]:
    """Return what a library asks of streams."""
    streams = (sys.stdout, sys.stderr, sys.stdout.buffer)
    return {
        "terminal": [stream.isatty() for stream in streams],
        "descriptor": [stream.fileno() for stream in streams],
        "writable": [stream.writable() for stream in streams],
        "encoding": [sys.stdout.encoding, sys.stderr.encoding],
        "closed": [stream.closed for stream in streams],
    }


def below_python(_task: EntrypointTask) -> None:
    """Write past the streams: from C, from programs, and from processes forked here."""
    print("said")
    os.write(1, b"from C\n")
    subprocess.run(["/bin/echo", "from a program"], check=True)
    subprocess.run(["/bin/echo", "from a program with our stream"], check=True, stdout=sys.stderr)
    faulthandler.dump_traceback(all_threads=False)
    forked = os.fork()
    if not forked:
        print("from a fork")
        os._exit(0)
    os.waitpid(forked, 0)
    worker = multiprocessing.get_context("fork").Process(target=print, args=("from a worker",))
    worker.start()
    worker.join()
    print("said again")


def writes_and_waits(task: EntrypointTask) -> None:
    """Write to the log, say so, and go on."""
    os.write(1, b"from C\n")
    print("written")
    task.wait_for_stop(600)


def threads(_task: EntrypointTask) -> None:
    """Print a hundred lines of several parts from each of four threads."""

    def speak(name: str) -> None:
        for number in range(100):
            print(name, number, "of", 100)

    speakers = [threading.Thread(target=speak, args=(name,)) for name in "abcd"]
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join()


def at_the_end(_task: EntrypointTask) -> str:
    """Have something to say when the result is there already."""

    def outlive() -> None:
        threading.main_thread().join()
        print("a thread that ends last")

    def fail() -> None:
        raise ValueError("of a thread")

    failing = threading.Thread(target=fail)
    failing.start()
    failing.join()
    _Failing()
    threading.Thread(target=outlive).start()
    atexit.register(print, "at exit", end="")
    return "done"


class _Failing:
    def __del__(self) -> None:
        raise ValueError("of a finalizer")


def from_handlers(task: EntrypointTask) -> None:
    """Print from a signal handler and from finalizers while the same is at work."""
    heard = 0

    def handle(*_: object) -> None:
        nonlocal heard
        heard += 1
        print("handler")

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    for number in range(3000):
        task.emit(f"{number}\n")
        _Printing()
        circle: list[Any] = [_Printing()]
        circle.append(circle)
    signal.setitimer(signal.ITIMER_REAL, 0)
    wait_until(lambda: heard, "a signal")


class _Printing:
    def __del__(self) -> None:
        print("finalizer")


def floods(_task: EntrypointTask) -> None:
    """Print without an end."""
    while True:
        print("x" * 999)


def many_lines(_task: EntrypointTask) -> None:
    """Print five thousand lines of several parts as fast as can be, and half a line."""
    for number in range(5000):
        print("line", number)
    print("the end", end="")


def model(messages: list[dict[str, Any]], _tools: list[dict[str, Any]]) -> Any:
    """Be a model that prints, calls a tool, and answers."""
    print("I am asked")
    if messages[-1]["role"] == "tool":
        print("and answer: ", end="")
        return "fine"
    return {"content": None, "tool_calls": [{"function": {"name": "think", "arguments": '{"thought": "so"}'}}]}


def writes_what_it_is_told(task: EntrypointTask) -> None:
    """Write the task and each message to the log, a line each, and say so."""
    text: str | None = task.text
    while text is not None:
        os.write(1, f"{text}\n".encode())
        print("written")
        text = task.receive()
