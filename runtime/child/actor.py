"""Task actor: one task, in a process of its own.

Its methods run in the task's process. The class itself is named in the host, so what it needs to do its work is
imported when it works.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from ...actors import ProcessActor
from ..tasks.talk import Letter

if TYPE_CHECKING:
    from ..tasks.spec import TaskSpec
    from .work import TaskWork

__all__ = ["TaskActor"]


class _Begin:
    """The actor to itself: begin.

    The work is not in `on_start`, around which pykka catches `Exception` alone. `ProcessActor` looks after whatever a
    message raises: it tells the host of a `SystemExit`, too, and ends a process that the task has forked.
    """


class TaskActor(ProcessActor):
    """One task. Started by the task supervisor; its last report is `Finished`, or it fails with what the loop raised.

    Args:
        spec: what to do.
    """

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__()
        self._spec = spec
        self._stop_requested = threading.Event()
        self._work: TaskWork | None = None
        for letter in spec.letters:
            self._put(letter)

    def on_start(self) -> None:
        """Send itself to work."""
        self.actor_ref.tell(_Begin())

    def on_receive(self, message: object) -> None:
        """Do the work, all of it, and stop. Runs on the main thread."""
        if not isinstance(message, _Begin):
            super().on_receive(message)
            return
        from .work import TaskWork  # noqa: PLC0415 - as in `_put`

        self._work = TaskWork(self._spec, self.supervisor, self._stop_requested)
        if self._stop_requested.is_set():
            self._work.cancel()  # the stop may have come before there was anything to cancel
        try:
            finished = self._work.run()
        except BaseException as error:
            self._work.tell_failure(error)
            raise
        finally:
            if logging.root.handlers:
                # What the user's code logs is the task's output; what pykka says of the actor's end is not.
                logging.getLogger("pykka").disabled = True
        self.supervisor.tell(finished)
        self.stop()

    def on_arrival(self, message: object) -> bool:
        """Take what somebody has said to the task. Runs in the mailbox thread."""
        if not isinstance(message, Letter):
            return False
        self._put(message)
        return True

    @staticmethod
    def _put(letter: Letter) -> None:
        from .letters import letterbox  # noqa: PLC0415 - the host, which only names this class, need not pay for it

        letterbox.put(letter)

    def on_stop_requested(self) -> None:
        """End the work early. Runs in the mailbox thread."""
        self._stop_requested.set()
        if self._work is not None:
            self._work.cancel()
