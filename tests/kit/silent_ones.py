"""Functions of tasks that fall silent, each in its own way, after a first word."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from subactors.runtime import EntrypointTask

_LONG = 600.0

_calls: list[str] = []


def matches_for_ever(task: EntrypointTask) -> bool:
    task.emit("It begins. ")
    return bool(re.match(r"(a+)+$", "a" * 40 + "b"))


def sleeps(task: EntrypointTask) -> None:
    task.emit("It begins. ")
    _sleep_deeply()


def _sleep_deeply() -> None:
    time.sleep(_LONG)


def waits_for_a_program(task: EntrypointTask) -> None:
    task.emit("It begins. ")
    subprocess.run(["sleep", "600"], check=True)  # noqa: S607 - as a shell finds it


def waits_for_a_word(task: EntrypointTask) -> str:
    """Wait until the file is there that the task names."""
    task.emit("It begins. ")
    while not Path(task.text).exists():
        time.sleep(0.01)
    return "it came"


def leaves_signals_to_others(task: EntrypointTask) -> str:
    """Do the same in a main thread that takes no signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMAX})
    return waits_for_a_word(task)


def has_handlers(task: EntrypointTask) -> list[str]:
    """Do the same with signal handlers of its own; return which were called."""
    task.emit("It begins. ")
    signal.signal(signal.SIGUSR1, lambda *_: _calls.append("called"))
    signal.signal(signal.SIGRTMAX, signal.SIG_DFL)
    waits_for_a_word(task)
    return _calls


def speaks_at_a_word(task: EntrypointTask) -> None:
    waits_for_a_word(task)
    task.emit("a word")
    time.sleep(_LONG)


def floods_its_log(task: EntrypointTask) -> None:
    task.emit("It begins. ")
    while True:
        os.write(2, b"noise\n" * 10)


def shells(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """As a model: call the shell, which takes long."""
    del messages, tools
    arguments = {"cmd": "sleep 600 | cat", "timeout": 600}
    return {"content": "", "tool_calls": [{"function": {"name": "shell", "arguments": arguments}}]}
