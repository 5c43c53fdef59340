"""Forked process: what the host knows of any that its zygote forks, from the request to the end of its tree.

An actor's process (`process`) and one of the `multiprocessing` context (`popen`) differ in what is said to them, and
in what their end means. That there is a fork, a pidfd, a kill, an exit, perhaps the loss of a zygote, is the same.

Nothing here waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..linux import cgroup, kernel
from ..wire.messages import MOST_NAMED, Exited
from .beginning import Beginning
from .exit import ProcessExit
from .io import READ

if TYPE_CHECKING:
    from .io import IOThread, Timer

__all__ = ["ForkedProcess"]

_FORK_LIMIT: Final = 1.0
"""Seconds that the zygote may take to fork a process that is only wanted to be killed: it may hang in an import."""

_REAP_LIMIT: Final = 5.0
"""Seconds that the zygote may take to report an exit that the pidfd has shown."""


class ForkedProcess(ABC):
    """One process of the zygote's, seen from the host.

    What begins with `on_` is for the I/O thread, but `on_asked_for`; that and all else may be called from any thread.

    Args:
        key: number by which host and zygote name the process.
        theirs: the process's end of its channel; None where a process stood by that has it.
        fenced: whether it is behind a fence.
        io: the I/O thread.
        forget: is called with the key, last.
        group: its control group; None if it has none.

    Attributes:
        key: see above.
        group: see above.
        end: how the process ended; None while it has not.
        is_with_zygote: whether the zygote that runs has been asked for it; one that was lost leaves it False.
        fenced: see above.
        is_plain: whether it is a process of the `multiprocessing` context, and no actor.
    """

    is_plain = False

    def __init__(
        self,
        key: int,
        *,
        theirs: socket.socket | None,
        fenced: bool,
        io: IOThread,
        forget: Callable[[int], None],
        group: str | None = None,
    ) -> None:
        self.key = key
        self.group = group
        self.end: ProcessExit | None = None
        self._pid: int | None = None
        self.is_with_zygote = False
        self.fenced = fenced
        self._beginning = Beginning(theirs)
        self._io = io
        self._forget = forget
        self._lock = threading.Lock()
        self._pidfd: int | None = None
        self._pidfd_watched = False
        self._kill_wanted = False
        self._wanted_signal: signal.Signals | None = None
        self._gone = False
        self._zygote_lost = ""
        self._swept: tuple[int, tuple[int, ...]] | None = None
        self._timer: Timer | None = None

    # --- what each kind of process says for itself ------------------------------------------------------------------

    @abstractmethod
    def stop(self) -> None:
        """Ask the process to end, as gently as its kind can be asked."""

    @abstractmethod
    def on_start_failed(self, message: str) -> None:
        """The process could not be forked."""

    @abstractmethod
    def on_end(self, seen: ProcessExit) -> None:
        """Publish the end, once."""

    @abstractmethod
    def on_closed(self, seen: ProcessExit) -> None:
        """The I/O thread has ended; called by whoever has ended it. Publish the end if that is still to be done."""

    def on_first_events(self, events: int) -> None:  # noqa: B027 - only an actor's process says a word here
        """The process stood by, and now says its first word as this one."""

    def look_at_channel(self) -> None:  # noqa: B027 - only an actor's process has one for long
        """See whether the process still has its channel; called now and then."""

    def appear(self) -> None:  # noqa: B027 - what `multiprocessing` has started it knows
        """Be among the host's children, if the host has imported what knows of such."""

    # --- from any thread --------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The process id; None until the process is forked."""
        return self._pid

    def kill(self) -> None:
        """Send SIGKILL; at once, or as soon as the process exists. Its tree is ended by the zygote.

        One that does not come to exist for a while has ended, too: it is killed if it ever does.
        """
        self._kill_wanted = True
        self.send_signal(signal.SIGKILL)
        if self._pid is None:
            self._io.call_later(_FORK_LIMIT, self._end_unforked)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; at once, or as soon as the process exists. Without effect on one that is gone."""
        with self._lock:
            if self._pid is not None:
                self._signal(number)
            elif self._wanted_signal != signal.SIGKILL:
                self._wanted_signal = number

    def on_asked_for(self) -> None:
        """The zygote is being asked for the process, or has forked it ahead."""
        self.is_with_zygote = True

    def take_on(self, pid: int, pidfd: int) -> bool:
        """Take on a process that exists; False, and the pidfd is closed, if this has ended meanwhile."""
        with self._lock:
            gone = self.end is not None
            self._beginning.over()
            if not gone:
                self._pid = pid
                self._pidfd = pidfd
                if self._wanted_signal is not None:
                    self._signal(self._wanted_signal)
        if gone:
            os.close(pidfd)
        return not gone

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def on_forked(self, pid: int, pidfd: int) -> None:
        """The process exists."""
        if self.take_on(pid, pidfd):
            self._watch()

    def on_exited(self, exited: Exited) -> None:
        """The zygote has reaped the process and its tree."""
        self.on_end(
            ProcessExit(
                code=exited.code if exited.code >= 0 else None,
                signal=-exited.code if exited.code < 0 else None,
                user_seconds=exited.user_seconds,
                system_seconds=exited.system_seconds,
                peak_bytes=exited.peak_bytes,
                survivors=exited.survivors,
                survivor_ids=exited.survivor_ids,
                group=exited.group,
            )
        )

    @property
    def theirs(self) -> socket.socket | None:
        """The process's end of its channel, until the host hears that there is a process that has it."""
        return self._beginning.theirs

    @property
    def awaits_zygote(self) -> bool:
        """Whether the zygote that runs has still to say that the process exists, or that it is gone."""
        return self.is_with_zygote and (self._pid is None or self._gone)

    def on_zygote_lost(self, how: str) -> None:
        """The zygote is gone: the kernel ends its children, but nobody learns their exit status."""
        self.is_with_zygote = False
        self._zygote_lost = how
        if self.theirs is None:
            self._watch()  # one that stood by may not be
        if self._timer is not None:
            self._timer.cancel()
        if self._pidfd is not None:
            # The kernel ends the zygote's children only. What they have started is found by the zygote's mark, unless
            # it has cleared its environment: then it may still be in the group.
            kernel.kill_group_led_by(self._pidfd)
            if self.group is not None:
                cgroup.kill(self.group)
            if not self._gone:
                self.kill()

    def on_swept(self, survivors: tuple[int, ...] | None) -> None:
        """What the lost zygote's children had started has been ended, but for these; None if nobody knows yet."""
        self._swept = (1, ()) if survivors is None else (len(survivors), survivors[:MOST_NAMED])
        self._end_unobserved()

    def begin_again(self) -> bool:
        """Return whether another zygote can be asked for the process, as it has never begun, and is still wanted.

        Called when the lost one's children are gone: none of them will begin it after this look.
        """
        if self._kill_wanted or not self._beginning.may_be_repeated():
            return False
        self._zygote_lost = ""
        return True

    def _end_unforked(self) -> None:
        """Publish the end of a process that does not come to exist."""
        if self._pid is None and not self._zygote_lost:
            self.on_end(ProcessExit(unobserved="it had not been forked yet"))

    def _end_unobserved(self) -> None:
        """Publish the end once the process is gone, and what it has started, too."""
        if self._swept is not None and (self._pidfd is None or self._gone):
            number, ids = self._swept
            self.on_end(ProcessExit(unobserved=self._zygote_lost, survivors=number, survivor_ids=ids))

    def _watch(self) -> None:
        if self.end is None and self._pidfd is not None and not self._pidfd_watched:
            self._pidfd_watched = True
            self._io.watch(self._pidfd, READ, self._on_pidfd)

    def _on_pidfd(self, events: int) -> None:
        del events
        assert self._pidfd is not None  # noqa: S101 - it is what was watched
        self._io.unwatch(self._pidfd)
        self._gone = True
        if self._zygote_lost:
            self._end_unobserved()
        else:
            late = f"the zygote did not report its exit within {_REAP_LIMIT:g} s"
            self._set_timer(_REAP_LIMIT, lambda: self.on_end(ProcessExit(unobserved=late)))

    def _set_timer(self, delay: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._io.call_later(delay, callback)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal; called with the lock held, so that the pidfd cannot be closed meanwhile."""
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)
