"""Program: does the work by one way, whenever it is told to; `python -m subactors.runtime.bench.program FD`.

A way has a program of its own, so that nothing of one reaches another, and that a crash ends no more than it. It is
told by a socket that it inherits. Whoever holds the other end looks at its processes from outside.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any, NoReturn

import msgspec

from ..errors import SubactorsError
from .work import OURS, FanOut, Opened, Order, Work

__all__ = ["main"]


def main(descriptor: int) -> None:
    """Do what is told by a socket, to its end."""
    signal.signal(signal.SIGTERM, _leave)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # to write a core file takes longer than what is measured
    link = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    told = link.makefile("rb")
    way = msgspec.json.decode(told.readline(), type=str)
    work = msgspec.json.decode(told.readline(), type=Work)
    try:
        with ExitStack() as steps:
            began = time.monotonic()
            try:
                worker = steps.enter_context(_opened(way, work))
            except SubactorsError as error:
                _tell(link, Opened(fault=str(error)))
                return
            _tell(link, Opened(time.monotonic() - began))
            for order in _orders(told):
                _tell(link, worker.fan_out(order.tasks))
    except SystemExit:
        # At once: a thread still reads what is told, and the function may have left some that never end.
        os._exit(0)


def _opened(way: str, work: Work) -> Any:
    sys.path[:0] = _folders(work)
    if way != OURS:
        from .peers import open_peer  # noqa: PLC0415 - each way loads what it needs, and is measured with that

        if work.working_dir is not None:
            os.chdir(work.working_dir)
        return open_peer(way, work)
    from .ours import Ours  # noqa: PLC0415 - the same

    return Ours(work)


def _folders(work: Work) -> list[str]:
    """Return where modules are looked for first: beside the team file, or in the current folder."""
    if not work.team:
        return [os.getcwd()]  # noqa: PTH109 - an entry of the module path is text
    from ..teamfile.load import load_team  # noqa: PLC0415 - for those who have a team

    return [*load_team(work.team).folders]


def _orders(told: IO[bytes]) -> Iterator[Order]:
    """Yield orders as they come. Nobody at the other end: this program ends, whatever it is at."""
    arrived: list[Order] = []
    news = threading.Condition()

    def listen() -> None:
        for line in told:
            with news:
                arrived.append(msgspec.json.decode(line, type=Order))
                news.notify()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        with news:
            news.wait_for(lambda: arrived)
            order = arrived.pop(0)
        yield order


def _tell(link: socket.socket, what: Opened | FanOut) -> None:
    link.sendall(msgspec.json.encode(what) + b"\n")


def _leave(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(0)


if __name__ == "__main__":
    sys.argv[0] = "subactors bench"  # what journals of runs call this program
    main(int(sys.argv[1]))
