"""Ray voice: tells the host what the Ray driver says, in a thread of its own, and each second that the driver runs.

Neither waits for the other: the host may read late, and Ray may hold up the thread that calls it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import Final

from .ray_messages import Beat, FromDriver, line

__all__ = ["RayVoice"]

_BEAT_EVERY: Final = 1.0
"""Seconds after which the host is told again that this process runs."""


class RayVoice:
    """See the module. Its methods are for any thread.

    Args:
        output: descriptor of what the host reads.
    """

    def __init__(self, output: int) -> None:
        self._output = output
        self._said: queue.SimpleQueue[FromDriver | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._speak, name="subactors-voice", daemon=True)
        self._thread.start()

    def say(self, message: FromDriver) -> None:
        """Tell the host something, after what was said before."""
        self._said.put(message)

    def close(self, patience: float) -> None:
        """Wait until all is told, but no longer than some seconds."""
        self._said.put(None)
        self._thread.join(patience)

    def _speak(self) -> None:
        with contextlib.suppress(OSError):  # the host is gone
            while True:
                try:
                    message = self._said.get(timeout=_BEAT_EVERY)
                except queue.Empty:
                    message = Beat()
                if message is None:
                    return
                os.write(self._output, line(message))
