"""News: what the nodes of a place tell of tasks: what they use, which limits they reach, what they write, what they do.

`hear` is for the I/O thread, all else is for the supervisor's thread, or for any where it says so. A node may say
anything: nothing of it is kept, shown or logged without a bound.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from ...actors import ProtocolError
from ...actors.regular_files import make, open_to_change
from ..place.base import Look
from ..runs.output import LONGEST_LOG
from ..tasks.views import Vitals
from ..tasks.watching import Sample
from ..text import one_line
from ..vitals.ring import Ring
from .messages import CodeWanted, Evicted, FromHouse, LimitReached, LogGrown, LookAt, Looked, NotPreloaded, Seen

if TYPE_CHECKING:
    from ...actors import Node, NodeLink, RemoteProcess

__all__ = ["News"]

logger = logging.getLogger("subactors.runtime")

_LONGEST: Final = 1000
"""Characters of what a node says of a task."""

_LONGEST_STACK: Final = 20_000
_MOST_PROCESSES: Final = 1000
"""Characters of a stack, and processes of a task, that a close look may have."""

_MOST_WARNINGS: Final = 100
"""Modules that each node may say it has not imported."""

_HIGHEST: Final = float(2**53)
"""What any database and any JSON reader takes for a number."""

_decoder: Final = msgspec.msgpack.Decoder(FromHouse)


class News:
    """See the module.

    Args:
        log_of: returns the file at home for what a task's processes write.
        send_code: sends a node archives of modules that it asks for, by their names; raises ProtocolError.

    Attributes:
        available: bytes of memory that nodes have left, by their names.
    """

    def __init__(self, log_of: Callable[[str], str], send_code: Callable[[NodeLink, tuple[str, ...]], None]) -> None:
        self.available: dict[str, int] = {}
        self._log_of = log_of
        self._send_code = send_code
        self._rings: dict[str, Ring] = {}
        self._latest: dict[str, Vitals] = {}
        self._peaks: dict[str, int] = {}
        self._reached: dict[str, Callable[[str], None]] = {}
        self._numbers = itertools.count(1)
        self._looks: dict[int, Callable[[Look], None]] = {}
        self._warnings: Counter[str] = Counter()

    def expect(self, task_id: str, reached: Callable[[str], None]) -> None:
        """Take news of a task from now on; `reached` is called with each limit that it reaches, as a sentence."""
        self._reached[task_id] = reached
        self._rings.setdefault(task_id, Ring())

    def forget(self, task_id: str) -> None:
        """Take no news of a task whose process has ended."""
        self._reached.pop(task_id, None)
        self._latest.pop(task_id, None)

    def latest(self, task_id: str) -> Vitals | None:
        """See `Place`. In any thread."""
        return self._latest.get(task_id)

    def samples(self, task_id: str) -> list[Sample]:
        """See `Place`. In any thread."""
        ring = self._rings.get(task_id)
        return ring.samples() if ring is not None else []

    def take_peak(self, task_id: str) -> int:
        """See `Place`."""
        self._rings.pop(task_id, None)
        return self._peaks.pop(task_id, 0)

    def note_peak(self, task_id: str, peak: int) -> None:
        """Note the largest memory that was seen of a task. In the I/O thread."""
        self._peaks[task_id] = max(self._peaks.get(task_id, 0), peak)

    def ask_to_look(
        self, node: Node, task_id: str, done: Callable[[Look], None], *, with_stack: bool, dump_at: int | None
    ) -> None:
        """Have a node look at a task; see `Place.look_closely`."""
        number = next(self._numbers)
        self._looks[number] = done
        node.order(LookAt(number, task_id, with_stack, dump_at))

    def hear(self, node: NodeLink, body: bytes) -> None:
        """Take what a node tells; raises ProtocolError for what it cannot."""
        try:
            message: FromHouse = _decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"something of tasks that fits no declared type: {error}") from error
        match message:
            case Seen(vitals, available):
                self.available[node.name] = available
                self._note_all(node, vitals)
            case CodeWanted(names):
                self._send_code(node, names)
            case NotPreloaded():
                self._warn(node.name, message)
            case Looked(number, look):
                if (done := self._looks.pop(number, None)) is not None:
                    done(_bounded(look))
            case LimitReached() | Evicted() | LogGrown():
                if (process := node.processes.get(message.key)) is not None:
                    self._hear_of(process, message)

    def _hear_of(self, process: RemoteProcess, message: LimitReached | Evicted | LogGrown) -> None:
        match message:
            case LimitReached(_, sentence):
                if (reached := self._reached.get(process.label)) is not None:
                    reached(one_line(sentence, _LONGEST))
            case Evicted(_, why):
                process.expel(f"node {process.place} ended it: {one_line(why, _LONGEST)}")
            case LogGrown(_, start, data):
                keep_log(self._log_of(process.label), start, data)

    def _warn(self, name: str, message: NotPreloaded) -> None:
        self._warnings[name] += 1
        if self._warnings[name] <= _MOST_WARNINGS:
            entry, fault = (one_line(said, _LONGEST) for said in (message.entry, str(message.error)))
            logger.warning("On node %s %s could not be imported ahead: %s.", name, entry, fault)

    def _note_all(self, node: NodeLink, vitals: dict[int, Vitals]) -> None:
        for key, seen in vitals.items():
            if (process := node.processes.get(key)) is not None:
                self._note(process.label, seen)

    def _note(self, task_id: str, vitals: Vitals) -> None:
        _check(vitals.cpu_percent or 0.0, vitals.cpu_seconds, vitals.memory_bytes, vitals.processes)
        if vitals.note:
            vitals = msgspec.structs.replace(vitals, note=one_line(vitals.note, _LONGEST))
        if (ring := self._rings.get(task_id)) is not None:
            self._latest[task_id] = vitals
            self.note_peak(task_id, vitals.memory_bytes)
            ring.add(time.time(), vitals.cpu_percent or 0.0, vitals.memory_bytes)


def _check(*numbers: float) -> None:
    """Raise ProtocolError for what is no number of anything, as one that no database takes."""
    if not all(0 <= number <= _HIGHEST for number in numbers):
        raise ProtocolError("figures that cannot be")


def _bounded(look: Look) -> Look:
    """Return what a node has seen at a close look, cut where it is long."""
    seen = look.processes[:_MOST_PROCESSES]
    for one in seen:
        _check(one.pid, one.cpu_seconds, one.cpu_percent or 0.0)
    _check(look.dump_at or 0)
    return msgspec.structs.replace(
        look,
        stack=look.stack[:_LONGEST_STACK],
        missing=one_line(look.missing, _LONGEST),
        processes=tuple(
            msgspec.structs.replace(one, name=one_line(one.name, _LONGEST), state=one_line(one.state, _LONGEST))
            for one in seen
        ),
    )


def keep_log(path: str, start: int, data: bytes) -> None:
    """Put a piece of a log that a node has into the file at home, and nothing behind it. It may have been cut there.

    A piece is small, so the thread that this is called in is held up no longer than by a piece of output. One that
    does not follow what is there, or would make a longer file than a log ever is, is left out.
    """
    with contextlib.suppress(OSError):
        descriptor = open_to_change(path) if start else make(path)
        try:
            if start <= os.fstat(descriptor).st_size and start + len(data) <= LONGEST_LOG:
                os.ftruncate(descriptor, start)
                os.write(descriptor, data)  # at its end, as the file is open for that alone
        finally:
            os.close(descriptor)
