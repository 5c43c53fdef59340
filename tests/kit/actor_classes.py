"""Actors that tests start, importable in the actors' processes; what they do to themselves is done on purpose."""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from processes_and_waits import descriptors
from subactors.actors import ProcessActor
from subactors.actors.wire.frames import output_header

__all__ = [
    "Daemon",
    "Echo",
    "GrandchildKind",
    "Holder",
    "OwnError",
    "Point",
    "StopsItsZygote",
    "TextlessError",
    "Worker",
    "start_crowd",
    "start_daemon",
]

_SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]

GrandchildKind = Literal[
    "plain", "own session", "daemon", "nohup", "no environment", "own environment", "channel holder", "channel writer"
]


class OwnError(Exception):
    """An exception that the host does not rebuild."""


class TextlessError(Exception):
    """An exception whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@dataclass
class Point:
    """What arrives as a dict."""

    x: int
    y: int


class Rehearsal(ProcessActor):
    """Adds the id of each process that it is started in to a file, and stops."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = file

    def on_start(self) -> None:
        """Write and stop."""
        with Path(self._file).open("a") as file:
            file.write(f"{os.getpid()}\n")
        self.stop()


class Echo(ProcessActor):
    """Answers what it is sent."""

    def on_receive(self, message: Any) -> Any:
        return message


class Worker(ProcessActor):
    """Tells of its process, and does to it what a test asks for."""

    def pid(self) -> int:
        return os.getpid()

    def own_attributes(self) -> list[str]:
        return [name for name in vars(self) if not name.startswith("_subactors")]

    def parent_pid(self) -> int:
        return os.getppid()

    def session_and_group(self) -> tuple[int, int]:
        return os.getsid(0), os.getpgid(0)

    def scheduling_policy(self) -> int:
        return os.sched_getscheduler(0)

    def descriptors(self) -> dict[int, str]:
        return descriptors()

    def channel_descriptor(self) -> int:
        assert self._subactors_life is not None
        return self._subactors_life.channel._socket.fileno()

    def read_stdin(self) -> str:
        return sys.stdin.read()

    def signal_dispositions(self) -> dict[str, str]:
        return {
            number.name: str(getattr(handler, "name", getattr(handler, "__name__", handler)))
            for number in signal.Signals
            if (handler := signal.getsignal(number)) not in {signal.SIG_DFL, None}
        }

    def blocked_signals(self) -> list[str]:
        return [signal.Signals(number).name for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])]

    def core_limit(self) -> int:
        return resource.getrlimit(resource.RLIMIT_CORE)[0]

    def descriptor_limits(self) -> list[int]:
        return list(resource.getrlimit(resource.RLIMIT_NOFILE))

    def oom_score_adjustment(self) -> int:
        return int(Path("/proc/self/oom_score_adj").read_text())

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def environment_bytes(self, name: bytes) -> bytes | None:
        return os.environb.get(name)

    def directory(self) -> str:
        return os.getcwd()  # noqa: PTH109 - the text, not a path

    def module_path(self) -> list[str]:
        return sys.path

    def process_name(self) -> str:
        return Path("/proc/self/comm").read_text().strip()

    def look_up(self, module: str, names: list[str]) -> list[Any]:
        """Return values of a module, which is imported only if it has not been."""
        return [getattr(importlib.import_module(module), name) for name in names]

    def write(self, text: str, *, to: Literal["stdout", "stderr"]) -> None:
        print(text, file=sys.stdout if to == "stdout" else sys.stderr)

    def answer(self, kind: str) -> Any:
        """Answer something that is, or is not, plain data."""
        return {
            "everything": [None, True, 1, 1.5, "text", b"bytes", {"key": [1]}],
            "dataclass": Point(1, 2),
            "object": object(),
            "function": len,
            "number": 1 << 70,
            "surrogate": "\ud800",
        }[kind]

    def answer_bytes(self, size: int) -> bytes:
        return bytes(size)

    def cycle(self) -> Any:
        endless: list[Any] = []
        endless.append(endless)
        return endless

    def fail(self, how: str) -> NoReturn:
        """Raise."""
        match how:
            case "builtin":
                raise ValueError("a bad value")
            case "own":
                raise OwnError("a bad thing")
            case "textless":
                raise TextlessError
            case "surrogate":
                raise ValueError("half a pair: \ud83d")
            case "long":
                raise ValueError("x" * 10_000_000)
            case _:
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, how)

    def size_of(self, data: bytes) -> int:
        return len(data)

    def exit_python(self, code: int) -> NoReturn:
        sys.exit(code)

    def exit_at_once(self, code: int) -> NoReturn:
        os._exit(code)

    def signal_self(self, number: int) -> None:
        signal.signal(number, signal.SIG_DFL) if number not in {signal.SIGKILL, signal.SIGSTOP} else None
        os.kill(os.getpid(), number)
        time.sleep(600)

    def segmentation_fault(self) -> None:
        ctypes.string_at(0)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def hold_the_interpreter(self, marker: str | None = None) -> None:
        """Hang in C without ever letting another thread run; a marker is a file that is made just before."""
        if marker is not None:
            Path(marker).touch()
        while True:  # a signal, as the one for a dump of the stacks, ends the sleep
            ctypes.PyDLL(None).sleep(600)

    def catastrophic_match(self) -> None:
        """Hang in the regular expression engine, which does not let go of the interpreter either."""
        re.match(r"(a+)+$", "a" * 60 + "b")

    def linger(self) -> None:
        """Keep the process alive after the actor's end."""
        threading.Thread(target=time.sleep, args=(600,), name="lingering", daemon=False).start()

    def ignore_termination(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def ignore_signals(self) -> None:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)

    def grandchild(self, kind: GrandchildKind) -> int:
        """Start a process that would outlive this one; return its process id."""
        match kind:
            case "plain":
                return subprocess.Popen(_SLEEP).pid
            case "own session":
                return subprocess.Popen(_SLEEP, start_new_session=True).pid
            case "daemon":
                return start_daemon()
            case "nohup":
                job = "setsid nohup sleep 600 >/dev/null 2>&1 & echo $!"
                return int(subprocess.run(["/bin/sh", "-c", job], stdout=subprocess.PIPE, check=True).stdout)
            case "no environment":
                return subprocess.Popen(_SLEEP, env={}).pid
            case "own environment":
                return subprocess.Popen(_SLEEP, env={**os.environ, "OWN": "1"}, start_new_session=True).pid
            case "channel holder":
                assert self._subactors_life is not None
                channel = self._subactors_life.channel._socket.fileno()
                return subprocess.Popen(_SLEEP, start_new_session=True, pass_fds=(channel,)).pid
            case "channel writer":
                assert self._subactors_life is not None
                channel = self._subactors_life.channel._socket.fileno()
                program = f"import os\nwhile True: os.write({channel}, {output_header(1000)!r} + bytes(1000))"
                command = [sys.executable, "-S", "-c", program]
                return subprocess.Popen(command, start_new_session=True, pass_fds=(channel,)).pid

    def nested_actor(self) -> int:
        """Start an actor from inside an actor; return its process id."""
        self._nested = Worker.start()
        pid: int = self._nested.proxy().pid().get()
        return pid

    def nested_daemon(self) -> list[int]:
        """Start an actor that has a daemon; return the process ids of both."""
        self._nested_daemon = Daemon.start()
        return [self._nested_daemon.ask(None), self._nested_daemon.proxy().daemon_pid.get()]


def start_daemon() -> int:
    """Fork twice, with a session in between, the way daemons do; return the process id of what is left."""
    program = (
        "import os, sys, time\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "sys.stdout.write(str(os.getpid())); sys.stdout.close(); os.close(1)\n"
        "time.sleep(600)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


class StopsItsZygote(ProcessActor):
    """Has what forked it stand still, and is gone."""

    def on_start(self) -> None:
        os.kill(os.getppid(), signal.SIGSTOP)
        os._exit(7)


class Daemon(ProcessActor):
    """Has a daemonised grandchild before it is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.daemon_pid = start_daemon()

    def on_receive(self, message: Any) -> int:
        """Answer the process id, whatever the message."""
        del message
        return os.getpid()


class Holder(ProcessActor):
    """Its stop is never heard: the first message keeps it busy for good."""

    def __init__(self, *, holding_the_interpreter: bool = False) -> None:
        super().__init__()
        self._hold = holding_the_interpreter

    def on_receive(self, message: Any) -> Any:
        del message
        self.supervisor.emit("busy")
        if self._hold:
            ctypes.PyDLL(None).sleep(600)
        time.sleep(600)


def start_crowd(folder: str) -> dict[str, int]:
    """Start actors that are hard to end, in a host; return the process ids of all there is, by what they are."""
    sleeping, holding, daemon = Worker.start().proxy(), Worker.start().proxy(), Daemon.start().proxy()
    ignoring = Worker.start().proxy()
    ignoring.ignore_signals().get()
    pids = {
        "zygote": sleeping.parent_pid().get(),
        "sleeping": sleeping.pid().get(),
        "holding the interpreter": holding.pid().get(),
        "with a daemon": daemon.actor_ref.ask(None),
        "daemon": daemon.daemon_pid.get(),
        "ignoring signals": ignoring.pid().get(),
        **{kind: ignoring.grandchild(kind).get() for kind in ("plain", "own session", "nohup")},
    }
    sleeping.sleep.defer(600)
    marker = Path(folder) / "holding"
    holding.hold_the_interpreter.defer(str(marker))
    while not marker.exists():
        time.sleep(0.001)
    return pids
