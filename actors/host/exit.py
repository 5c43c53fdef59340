"""Exit: how an actor's process ended, as facts and as a sentence for people; and nobody, who is told afterwards.

One `ProcessExit` a process, made in the host's I/O thread.
"""

from __future__ import annotations

from signal import Signals
from typing import Final

import msgspec

from ..wire.messages import ErrorData, GroupUse

__all__ = ["NOBODY", "ProcessExit"]

_UNKNOWN: Final = 255


class ProcessExit(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an actor's process.

    Attributes:
        code: exit status; None if a signal ended it, or nobody knows.
        signal: number of the signal that ended it, or None.
        ready: whether the actor's constructor had returned.
        finished: whether the actor's loop had ended and said so.
        error: what the constructor or the actor's loop raised.
        killed: whether the host sent SIGKILL.
        violation: how it broke the protocol; empty if it did not.
        disconnected: whether it was ended because it had closed its channel and lived on.
        unobserved: why its exit status is unknown; empty if it is known.
        lost: which machine was lost on which it ran, and why, as a clause; empty if none was.
        user_seconds: CPU time in user mode, of the process and the children that it reaped.
        system_seconds: CPU time in the kernel, likewise.
        peak_bytes: its largest resident set.
        survivors: number of processes that were left when the end was reported, which does not wait for them for ever.
            All of them had been killed, or were just being found; they are hunted until the process system ends. Where
            several processes ended at a time, they may be another's.
        survivor_ids: process ids of the first of them.
        group: what the kernel counted in its control group; None if it was in none.
    """

    code: int | None = None
    signal: int | None = None
    ready: bool = False
    finished: bool = False
    error: ErrorData | None = None
    killed: bool = False
    violation: str = ""
    disconnected: bool = False
    unobserved: str = ""
    lost: str = ""
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_bytes: int = 0
    survivors: int = 0
    survivor_ids: tuple[int, ...] = ()
    group: GroupUse | None = None

    @property
    def normal(self) -> bool:
        """Whether the actor ran to its end: nothing raised, nothing broken, exit status 0."""
        return self.finished and self.error is None and not self.violation and self.code == 0

    @property
    def exitcode(self) -> int:
        """What `multiprocessing` calls the exit code: the status, or minus a signal's number; 255 if nobody knows."""
        if self.signal is not None:
            return -self.signal
        return _UNKNOWN if self.code is None else self.code

    @property
    def signal_name(self) -> str:
        """The signal's name, such as `SIGSEGV`; empty if none ended it."""
        if self.signal is None:
            return ""
        try:
            return Signals(self.signal).name
        except ValueError:
            return f"signal {self.signal}"

    def __str__(self) -> str:
        """Say what happened, in a clause that can follow `the process` or `because it`."""
        if self.violation or self.lost:
            return f"broke the protocol: {self.violation}" if self.violation else f"is gone, as {self.lost}"
        if self.disconnected:
            return "closed its connection to the host"
        if self.error is not None:
            return f"raised {self.error}"
        if self.unobserved:
            return f"ended in a way nobody could observe: {self.unobserved}"
        if self.killed and self.signal == Signals.SIGKILL:
            return "was killed"
        if self.signal is not None:
            return f"was ended by {self.signal_name}{self._hint()}"
        if self.finished:
            return "ended normally" if self.code == 0 else f"ended with exit status {self.code} after its last message"
        return f"ended by itself with exit status {self.code}"

    def _hint(self) -> str:
        match self.signal:
            case Signals.SIGKILL:
                return ", which was not sent from here (out of memory, or by hand)"
            case Signals.SIGXCPU:
                return " (CPU time limit)"
            case _:
                return ""


class _Nobody:
    """Nobody: the `ProcessListener` and the `ChannelReceiver` of what has ended, of which there is no more to tell.

    To whom all has been told refers to what it was told of. If that went on to refer back, it would wait for the
    collector with all that it holds: what thousands of tasks leave takes that a tenth of a second, for which all
    threads of the host stand still.
    """

    def process_ready(self, process: object) -> None: ...

    def process_output(self, process: object, data: bytes) -> None: ...

    def process_report(self, process: object, body: bytes) -> None: ...

    def process_request(self, process: object, request_id: int, body: bytes) -> None: ...

    def process_finished(self, process: object) -> None: ...

    def process_ended(self, process: object, end: object) -> None: ...

    def on_output(self, data: bytes) -> None: ...

    def on_message(self, message: object) -> None: ...

    def on_channel_closed(self) -> None: ...

    def on_violation(self, what: str) -> None: ...


NOBODY: Final = _Nobody()
