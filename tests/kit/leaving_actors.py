"""Actors that leave something to be done when their process exits."""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import threading
import time
from concurrent.futures import ThreadPoolExecutor, thread
from pathlib import Path

from subactors.actors import ProcessActor

__all__ = ["HoldsBackALog", "LeavesAThread", "LeavesAnExitFunction", "LeavesWorkToAPool"]


class HoldsBackALog(ProcessActor):
    """Logs to a handler that writes when it is full, or when logging is shut down."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        handler = logging.handlers.MemoryHandler(1000, flushLevel=logging.CRITICAL, target=logging.FileHandler(file))
        logging.getLogger("leaving").addHandler(handler)
        logging.getLogger("leaving").error("the last word")


class LeavesAnExitFunction(ProcessActor):
    """Registers a function that writes a file at exit."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        atexit.register(file.write_text, "the last word")


class LeavesAThread(ProcessActor):
    """Has a thread that writes a file once the main thread waits for it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        threading.Thread(target=self._write_late, args=(file,)).start()

    def _write_late(self, file: Path) -> None:
        threading.main_thread().join()  # which returns at exit, before other threads are waited for
        file.write_text("the last word")


class LeavesWorkToAPool(ProcessActor):
    """Has an executor with work of which more is to come when the main thread has ended."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        ThreadPoolExecutor(1).submit(self._write_late, file)

    def _write_late(self, file: Path) -> None:
        while not thread._shutdown:  # set at exit, before what the executors are at is waited for
            time.sleep(0.001)
        file.write_text("the last word")
