"""Fault kit: sub-agents that misbehave on purpose, so that a host application can test its own handling of them.

Name them in a team (`entrypoint: subactors.runtime.testing:segfault`) or take `fault_team()`. Each says `before the
fault` first, so that a test can wait for that output and knows that the fault comes next. They only ever harm the
process that they run in. `scripted` is a model that plays an orchestrator from a script.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from ..actors.wire.frames import encode_frame, encode_plain
from ..actors.wire.messages import Report, Request
from .child.entrypoint import EntrypointTask
from .tasks.messages import RunTask, ToolCalled

__all__ = [
    "BEFORE",
    "FAULTS",
    "break_protocol",
    "close_channel",
    "echo",
    "exit_without_answer",
    "fault_team",
    "fill_stderr",
    "flood_messages",
    "flood_output",
    "fork_daemon",
    "half_a_frame",
    "hang_in_c",
    "hang_in_python",
    "ignore_signals",
    "leak_memory",
    "raise_error",
    "scripted",
    "segfault",
    "stop_reading",
    "unknown_message",
    "wait_for_stop",
]

BEFORE = "before the fault\n"
"""What each faulty sub-agent says first."""

_LEAK_STEP = 10_000_000
_LEAK_LIMIT = 2_000_000_000
_TASK = re.compile(r"<task>\n(.*)\n</task>", re.DOTALL)
"""Where a sub-agent's first messages have its task."""

_FLOOD_PIECE = "flood " * 170 + "\n"


def echo(task: EntrypointTask) -> str:
    """Behave: say the task's text, and return it."""
    task.emit(task.text)
    return task.text


def wait_for_stop(task: EntrypointTask) -> str:
    """Behave: work until a stop arrives, and return at once when it does."""
    task.emit(BEFORE)
    while not task.wait_for_stop(60):
        pass
    return "stopped when asked"


def raise_error(task: EntrypointTask) -> NoReturn:
    """Raise ValueError with the task's text."""
    task.emit(BEFORE)
    raise ValueError(task.text)


def exit_without_answer(task: EntrypointTask) -> NoReturn:
    """Leave with `os._exit`, exit status 3: no finalizer runs and nobody is told."""
    task.emit(BEFORE)
    os._exit(3)


def segfault(task: EntrypointTask) -> NoReturn:
    """Read address 0 in C."""
    task.emit(BEFORE)
    ctypes.string_at(0)
    raise AssertionError("reading address 0 did not end the process")


def hang_in_python(task: EntrypointTask) -> NoReturn:
    """Loop in Python for ever, and take no notice of a stop; other threads still run."""
    task.emit(BEFORE)
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(0.01)


def hang_in_c(task: EntrypointTask) -> NoReturn:
    """Sleep in C with the interpreter lock held: no other thread of the process runs, nor any Python signal handler."""
    sleep = ctypes.PyDLL(None).sleep  # PyDLL, unlike CDLL, keeps the lock during a call
    task.emit(BEFORE)
    while True:
        sleep(1000)


def ignore_signals(task: EntrypointTask) -> NoReturn:
    """Ignore every signal that can be ignored, swallow every exception, and never end."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    task.emit(BEFORE)
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(1000)


def leak_memory(task: EntrypointTask) -> str:
    """Take 10 MB of memory a hundred times a second, up to 2 GB."""
    task.emit(BEFORE)
    leaked: list[bytearray] = []
    while len(leaked) * _LEAK_STEP < _LEAK_LIMIT and not task.wait_for_stop(0.01):
        leaked.append(bytearray(os.urandom(4096) * (_LEAK_STEP // 4096)))
    return f"{len(leaked) * _LEAK_STEP:,} bytes were not stopped by any limit"


def fork_daemon(task: EntrypointTask) -> str:
    """Start a daemon the classic way (fork, setsid, fork) and one more with `setsid`; return their process ids.

    They sleep for ten minutes unless something ends them, as the end of the task should.
    """
    task.emit(BEFORE)
    detached = subprocess.Popen(
        ["/bin/sleep", "600"],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        daemon = os.fork()
        if daemon:
            os.write(writer, str(daemon).encode())
            os._exit(0)
        os.close(writer)
        os.execv("/bin/sleep", ["sleep", "600"])  # noqa: S606 - a daemon is the point
    os.close(writer)
    daemon_id = int(os.read(reader, 100))
    os.close(reader)
    os.wait()
    # Not reaped on purpose: the task leaves it behind.
    detached.returncode = 0
    return json.dumps([detached.pid, daemon_id])


def flood_output(task: EntrypointTask) -> str:
    """Say as many megabytes as the task's text names (100 if it names none), in pieces of about a kilobyte."""
    task.emit(BEFORE)
    megabytes = _count(task, 100)
    for _ in range(megabytes * 1_000_000 // len(_FLOOD_PIECE)):
        task.emit(_FLOOD_PIECE)
    return f"{megabytes} MB said"


def flood_messages(task: EntrypointTask) -> str:
    """Send the host as many tiny messages as the task's text names (100,000 if it names none): calls of a tool."""
    task.emit(BEFORE)
    count = _count(task, 100_000)
    numbers = iter(range(count))
    while piece := list(itertools.islice(numbers, 1000)):
        frames = (encode_frame(Report(encode_plain(ToolCalled(str(number), "no_tool", "{}")))) for number in piece)
        _write(b"".join(frames))
    return f"{count} messages sent"


def fill_stderr(task: EntrypointTask) -> str:
    """Write as many megabytes to descriptor 2 as the task's text names (100 if it names none), and return."""
    task.emit(BEFORE)
    megabytes = _count(task, 100)
    for _ in range(megabytes):
        os.write(2, _FLOOD_PIECE.encode() * (1_000_000 // len(_FLOOD_PIECE)))
    return f"{megabytes} MB written"


def break_protocol(task: EntrypointTask) -> NoReturn:
    """Write to the channel what no healthy process writes: a header that announces two gigabytes, and garbage."""
    task.emit(BEFORE)
    _write(b"\x80\x00\x00\x00\x00 garbage")
    _sleep_on()


def unknown_message(task: EntrypointTask) -> NoReturn:
    """Send the host a message of an unknown type."""
    task.emit(BEFORE)
    _write(_frame(msgspec.msgpack.encode({"type": "promotion", "to": "host"})))
    _sleep_on()


def half_a_frame(task: EntrypointTask) -> NoReturn:
    """Announce a message, send the beginning of it, and exit with status 0."""
    task.emit(BEFORE)
    _write(_frame(b"a message that has an end")[:-10])
    os._exit(0)


def close_channel(task: EntrypointTask) -> NoReturn:
    """Close the channel for writing, and live on; the host gives it two seconds."""
    task.emit(BEFORE)
    with socket.socket(fileno=os.dup(_channel_descriptor())) as channel:
        channel.shutdown(socket.SHUT_WR)
    _sleep_on()


def stop_reading(task: EntrypointTask) -> NoReturn:
    """Ask the host without end for what is refused at length, and read none of the answers."""
    task.emit(BEFORE)
    request = encode_frame(Request(1, encode_plain(RunTask("no such agent " * 5000, "go"))))
    channel = _channel_descriptor()
    # The thread that reads gets no turn: PyDLL keeps the interpreter's lock, which nobody may ask for in an hour.
    sys.setswitchinterval(3600)
    libc = ctypes.PyDLL(None)
    while True:
        written = 0
        while written < len(request):
            written += max(0, libc.write(channel, request[written:], len(request) - written))


FAULTS: Mapping[str, Callable[[EntrypointTask], Any]] = {
    function.__name__: function
    for function in (
        raise_error,
        exit_without_answer,
        segfault,
        hang_in_python,
        hang_in_c,
        ignore_signals,
        leak_memory,
        fork_daemon,
        flood_output,
        flood_messages,
        fill_stderr,
        break_protocol,
        unknown_message,
        half_a_frame,
        close_channel,
        stop_reading,
    )
}
"""Every misbehaving entrypoint, by name."""


def fault_team(**settings: Any) -> dict[str, Any]:
    """Return a team, as `Runtime.from_mapping` takes it, with `echo`, `wait_for_stop` and every fault as agents.

    Its root, `orchestrator`, has them all as sub-agents, and `scripted` for a model.

    Args:
        settings: the team's `runtime` mapping.
    """
    names = ["echo", "wait_for_stop", *FAULTS]
    team: dict[str, Any] = {
        "agents": {
            "orchestrator": {
                "model": f"python/{__name__}:scripted",
                "description": "Plays a script",
                "sub_agents": names,
                "toolsets": [{"type": "background_agents"}],
            },
            **{name: {"entrypoint": f"{__name__}:{name}", "description": name} for name in names},
        }
    }
    if settings:
        team["runtime"] = settings
    return team


def scripted(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any] | str:
    """Be an orchestrator's model that plays the script in its prompt.

    The prompt (the last user message, or the task of a sub-agent) is JSON: a list of turns, each a list of
    `[tool, arguments]`. In arguments the text `$1` stands for the id of the first task that was started, `$2` for the
    second, and so on. After the last turn the answers to all calls are returned, as a JSON list of texts.
    """
    del tools
    tasks = [match[1] for message in messages if (match := _TASK.search(str(message["content"])))]
    prompt = next(str(message["content"]) for message in reversed(messages) if message["role"] == "user")
    turns = json.loads(tasks[0] if tasks else prompt)
    played = sum(message["role"] == "assistant" for message in messages)
    answers = [str(message["content"]) for message in messages if message["role"] == "tool"]
    if played >= len(turns):
        return json.dumps(answers)
    started = [found[0] for answer in answers if (found := re.findall(r"^Started (agent_task_\w+)", answer))]
    calls = []
    for name, arguments in turns[played]:
        text = re.sub(r"\$(\d+)", lambda match: started[int(match[1]) - 1], json.dumps(arguments))
        calls.append({"function": {"name": name, "arguments": text}})
    return {"content": "", "tool_calls": calls}


def _count(task: EntrypointTask, default: int) -> int:
    return int(task.text) if task.text.strip().isdigit() else default


def _sleep_on() -> NoReturn:
    while True:
        time.sleep(1000)


def _frame(payload: bytes) -> bytes:
    return struct.pack(">IB", len(payload), 0) + payload


def _write(data: bytes) -> None:
    """Write to the channel behind the back of the thread that should, and all of it even if a stop interrupts this."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with socket.socket(fileno=os.dup(_channel_descriptor())) as channel:
            channel.sendall(data)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _channel_descriptor() -> int:
    """Return the descriptor of this process's channel: its only Unix stream socket."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - descriptors are numbers, not paths
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):  # noqa: PTH115 - descriptors are numbers, not paths
                return int(name)
    raise AssertionError(f"no channel in process {os.getpid()}; this runs in a task's process only ({sys.argv[0]})")
