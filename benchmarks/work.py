"""The user code that all contenders run: the same functions everywhere, told apart by name.

A piece of work is called with what takes its messages (`say`) and one argument, and returns text. It must import
nothing heavy at the top: `run` imports `openai`, so that in every contender the process has it before the first word.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from subactors.runtime import EntrypointTask

__all__ = [
    "FAULTS",
    "IDLES",
    "LEAK",
    "PIECE",
    "WORK",
    "Say",
    "ask_model",
    "expect",
    "give_back",
    "hang_in_c",
    "leak",
    "meet",
    "run",
    "serve",
    "serve_plainly",
    "start_children",
    "talk_and_wait",
]

Say = Callable[[str], None]

PIECE: Final = "x" * 4095 + "\n"
"""What the streaming scenario says, over and over: 4 kB."""

LEAK: Final = 400_000_000
"""Bytes after which the leaking task leaks no more: the benchmark's own bound, so that it is safe to run."""

_LEAK_STEP: Final = 10_000_000
_SLEEP: Final = "3600"
"""Seconds that grandchildren sleep, if nothing ends them."""

_POLL: Final = 0.05
_SPIN: Final = 0.005
"""Seconds before a given moment from which on it is waited for without sleeping."""


def run(name: str, say: Say, argument: str = "") -> str:
    """Do a piece of work, in whatever process a contender has made for it."""
    import openai  # noqa: PLC0415 - preloaded where the contender can do that, and paid for here where it cannot

    del openai
    return WORK[name](say, argument)


def serve(task: EntrypointTask) -> str:
    """Do the work that a task's text names; the entrypoint for subactors."""
    name, _, argument = task.text.partition(" ")
    if name == "idle":
        task.emit(str(os.getpid()))
        while not task.wait_for_stop(60):
            pass
        return "stopped"
    if name == "asks":
        return _asks(task, int(argument))
    return run(name, task.emit, argument)


def _asks(task: EntrypointTask, samples: int) -> str:
    """Ask the host, over and over, and have some other tasks run; return how long each took, as JSON."""
    own = task.runtime.run("worker", "speak")
    task.runtime.wait([own])
    asked = [_took(lambda: task.runtime.view(own)) for _ in range(2 * samples)][samples:]
    nested = [
        _took(lambda: task.runtime.wait([task.runtime.run("worker", "speak")])) for _ in range(max(2, samples // 10))
    ]
    return json.dumps([asked, nested])


def _took(function: Callable[[], object]) -> float:
    began = time.monotonic()
    function()
    return time.monotonic() - began


def serve_plainly(task: EntrypointTask) -> str:
    """Do the work without `openai`, for hosts that have no use for it."""
    return WORK[task.text](task.emit, "")


def give_back(item: int) -> int:
    """Return at once: a function to be mapped."""
    return item


def _speak(say: Say, argument: str) -> str:
    say(argument or "hello")
    return "done"


def _second(say: Say, argument: str) -> str:
    """Work for one second, or as many as the argument says."""
    del say
    time.sleep(float(argument or 1))
    return "done"


def _idle(say: Say, argument: str) -> str:
    """Say that it is there, and wait for ever; whoever wants to be stopped nicely has a version of its own."""
    del argument
    say(str(os.getpid()))
    while True:
        time.sleep(3600)


def _refuse(say: Say, argument: str) -> str:
    """Take no notice of a stop."""
    return _idle(say, argument)


def _sibling(say: Say, argument: str) -> str:
    """Work in small steps for so many seconds, as a healthy task beside a faulty one."""
    del say
    ends = time.monotonic() + float(argument)
    while time.monotonic() < ends:
        time.sleep(_POLL)
    return "done"


def _stream(say: Say, argument: str) -> str:
    """Say so many pieces, each of so many bytes, and return when that began (seconds of CLOCK_MONOTONIC)."""
    count, _, length = argument.partition(" ")
    piece = "x" * (int(length) - 1) + "\n" if length else PIECE
    began = time.monotonic()
    for _ in range(int(count)):
        say(piece)
    return repr(began)


def _flood(say: Say, argument: str) -> str:
    """Say pieces of 4 kB for ever."""
    del argument
    while True:
        say(PIECE)


def _raise_error(say: Say, argument: str) -> str:
    del say
    raise ValueError(argument or "the task's own error")


def _exit(say: Say, argument: str) -> str:
    del say, argument
    os._exit(3)


def _segfault(say: Say, argument: str) -> str:
    """Read address 0, at the moment of CLOCK_MONOTONIC that the argument gives, if it gives one."""
    del say
    if argument:
        moment = float(argument)
        time.sleep(max(0.0, moment - time.monotonic() - _SPIN))
        if time.monotonic() > moment:
            raise ValueError("the process was there later than the moment at which it should crash")
        while time.monotonic() < moment:
            pass
    ctypes.string_at(0)
    return "survived"


def hang_in_c() -> None:
    """Sleep in C for a minute with the interpreter lock held: nothing else of the process runs meanwhile."""
    ctypes.PyDLL(None).sleep(60)


def _hang(say: Say, argument: str) -> str:
    del argument
    say(str(os.getpid()))
    while True:
        hang_in_c()


def _leak(say: Say, argument: str) -> str:
    """Take memory up to `LEAK`, keep it for so many seconds, and return how much it was."""
    leaked = leak(float(argument))
    del say
    return f"{leaked:,} bytes"


def leak(hold: float) -> int:
    """Take memory in steps up to `LEAK`, hold it, and return its bytes."""
    kept = []
    for _ in range(LEAK // _LEAK_STEP):
        kept.append(b"\1" * _LEAK_STEP)
        time.sleep(0.005)
    time.sleep(hold)
    return sum(map(len, kept))


def _parent(say: Say, argument: str) -> str:
    """Have a child, and a daemon (fork, setsid, fork), and then idle, or hang in C if the argument says so."""
    start_children()
    if argument == "hang":
        return _hang(say, "")
    say(str(os.getpid()))
    while True:
        time.sleep(3600)


def start_children() -> None:
    """Start a child that sleeps and a daemon that does."""
    program = [sys.executable, "-S", "-c", f"import time; time.sleep({_SLEEP})"]
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen([*program, "child"], **quiet)
    daemon = f"import subprocess, sys; subprocess.Popen({[*program, 'daemon']!r}, start_new_session=True)"
    subprocess.run([sys.executable, "-S", "-c", daemon], check=True, **quiet)


def _llm(say: Say, argument: str) -> str:
    """Be what an LLM agent is at the least: make a client, send one request, read the answer."""
    asyncio.run(ask_model(argument))
    say("answered")
    return "done"


def _llm_idle(say: Say, argument: str) -> str:
    """Talk to the model once, and then wait for its second answer, which does not come."""
    del say
    asyncio.run(talk_and_wait(argument))
    return "done"


async def ask_model(base_url: str, client: AsyncOpenAI | None = None) -> None:
    """Send one request to a model server and read the streamed answer."""
    await _complete(client or _client(base_url), "answer", turns=0)


async def talk_and_wait(base_url: str) -> None:
    """Have one request answered, and wait for the answer to a second one."""
    client = _client(base_url)
    await _complete(client, "hold", turns=0)
    await _complete(client, "hold", turns=1)


def _client(base_url: str) -> AsyncOpenAI:
    from openai import AsyncOpenAI  # noqa: PLC0415 - see `run`

    return AsyncOpenAI(base_url=base_url, api_key="none")


async def _complete(client: AsyncOpenAI, model: str, turns: int) -> None:
    messages: list[Any] = [{"role": "user", "content": json.dumps({"turn": turn})} for turn in range(turns + 1)]
    for turn in range(turns):
        messages.insert(2 * turn + 1, {"role": "assistant", "content": "yes"})
    async for _ in await client.chat.completions.create(model=model, messages=messages, stream=True):
        pass


WORK: Final[dict[str, Callable[[Say, str], str]]] = {
    "exit": _exit,
    "flood": _flood,
    "hang": _hang,
    "idle": _idle,
    "leak": _leak,
    "llm": _llm,
    "llm_idle": _llm_idle,
    "parent": _parent,
    "raise": _raise_error,
    "refuse": _refuse,
    "second": _second,
    "segfault": _segfault,
    "sibling": _sibling,
    "speak": _speak,
    "stream": _stream,
}

IDLES: Final = frozenset({"idle", "refuse", "parent"})
"""Work that says something and then stays; an actor that does it is idle in its mailbox afterwards."""

FAULTS: Final = ("raise", "exit", "segfault", "hang", "leak")
"""The columns of the isolation matrix."""


_meeting: list[Any] = []


def expect(barrier: Any) -> None:
    """Say where the workers of an executor meet; runs in each of them first."""
    _meeting[:] = [barrier]


def meet(_number: int) -> int:
    """Wait until all workers are here; return who this is."""
    _meeting[0].wait(60)
    return os.getpid()
