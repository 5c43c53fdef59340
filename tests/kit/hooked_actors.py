"""Actors whose constructors and hooks fail, or say when they ran."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from actor_classes import OwnError
from subactors.actors import ProcessActor


class Hooked(ProcessActor):
    """Writes into a file which hook ran, in which process and thread."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = Path(file)
        self._stop_heard = threading.Event()
        self._note("__init__")

    def _note(self, hook: str) -> None:
        with self._file.open("a") as file:
            file.write(f"{hook} {os.getpid()} {threading.current_thread().name}\n")

    def on_start(self) -> None:
        self._note("on_start")

    def on_receive(self, message: Any) -> Any:
        self._note("on_receive")
        if isinstance(message, BaseException):
            raise message
        if message == "work until stopped":
            self._stop_heard.wait(30)
        return message

    def on_stop(self) -> None:
        self._note("on_stop")

    def on_stop_requested(self) -> None:
        self._note("on_stop_requested")
        self._stop_heard.set()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del exception_type, exception_value, traceback
        self._note("on_failure")


class FailingConstructor(ProcessActor):
    """Its constructor ends as it is told."""

    def __init__(self, how: str) -> None:
        super().__init__()
        match how:
            case "builtin":
                raise ValueError("a bad value")
            case "own":
                raise OwnError("a bad thing")
            case "os._exit":
                os._exit(7)
            case "sys.exit":
                sys.exit(7)
            case "sleep":
                time.sleep(600)
            case "signal":
                os.kill(os.getpid(), signal.SIGKILL)
            case "surrogate":
                raise ValueError("half a pair: \ud83d")
            case _:
                raise AssertionError(how)


class EndlessConstructor(ProcessActor):
    """Writes a file in its constructor, which never returns."""

    def __init__(self, file: str) -> None:
        super().__init__()
        Path(file).write_text(str(os.getpid()))
        threading.Event().wait()


class WithoutSuper(ProcessActor):
    """Forgets to call its superclass's constructor."""

    def __init__(self) -> None:
        pass


class FailingOnStart(ProcessActor):
    """Its `on_start` raises."""

    def on_start(self) -> None:
        raise OwnError("cannot begin")


class FailingOnStop(ProcessActor):
    """Its `on_stop` raises."""

    def on_stop(self) -> None:
        raise OwnError("cannot end")


class Listening(ProcessActor):
    """Takes texts that begin with `!` as they arrive, and answers with them; one that is `!no` raises."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: list[str] = []
        self._two = threading.Event()

    def on_arrival(self, message: object) -> bool:
        if message == "!no":
            raise ValueError("mine")
        if not isinstance(message, str) or not message.startswith("!"):
            return False
        self._heard.append(message)
        if len(self._heard) == 2:
            self._two.set()
        return True

    def on_receive(self, message: Any) -> Any:
        """Wait until two have arrived, if that is asked for; answer with all, and with the message."""
        if message == "wait for two":
            self._two.wait(30)
        elif message == "!no":
            self._heard.append("in its turn")
        return [*self._heard, message]
