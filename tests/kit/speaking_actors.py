"""What actors and supervisors of the tests say to each other, and the actors that do."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import msgspec
from actor_classes import OwnError
from subactors.actors import ProcessActor

__all__ = [
    "Answering",
    "AskingConstructor",
    "Counting",
    "FailingStopHook",
    "Question",
    "Refusal",
    "Saying",
    "Speaker",
]


class Saying(msgspec.Struct, frozen=True, tag="saying"):
    """A report."""

    text: str


class Counting(msgspec.Struct, frozen=True, tag="counting"):
    """Another report."""

    number: int


class Question(msgspec.Struct, frozen=True, tag="question"):
    """A request."""

    text: str


class Answering(msgspec.Struct, frozen=True):
    """The answer to a request."""

    text: str


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """A report that no supervisor of these tests takes."""

    text: str


class Speaker(ProcessActor):
    """Talks to its supervisor when it is told to."""

    def say(self, text: str) -> None:
        self.supervisor.emit(text)

    def report(self, text: str) -> None:
        self.supervisor.tell(Saying(text))

    def report_wrongly(self) -> None:
        self.supervisor.tell(Refusal("this is not for you"))

    def count_to(self, number: int) -> None:
        for step in range(number):
            self.supervisor.tell(Counting(step))

    def count_and_leave(self, number: int) -> None:
        """Report, and be gone before anybody can have read it all."""
        self.count_to(number)
        self.stop()

    def ask(self, text: str) -> str:
        answer = self.supervisor.ask(Question(text)).result(30)
        return msgspec.msgpack.decode(answer, type=Answering).text

    def ask_twice(self, first: str, second: str) -> list[str]:
        """Ask two things at once; return the answers in the order of the questions."""
        futures = [self.supervisor.ask(Question(text)) for text in (first, second)]
        return [msgspec.msgpack.decode(future.result(30), type=Answering).text for future in futures]

    def catch_refusal(self, text: str) -> str:
        try:
            self.ask(text)
        except Exception as error:  # noqa: BLE001 - the test looks at what it was
            return f"{type(error).__name__}: {error}"
        return "no refusal"

    def linger(self) -> None:
        threading.Thread(target=time.sleep, args=(600,), name="lingering", daemon=False).start()


class AskingConstructor(ProcessActor):
    """Asks its supervisor while it is constructed."""

    def __init__(self) -> None:
        super().__init__()
        answer = self.supervisor.ask(Question("who am I?")).result()
        self.name = msgspec.msgpack.decode(answer, type=Answering).text

    def on_stop_requested(self) -> None:
        self.supervisor.tell(Saying(f"{self.name} hears of the stop"))

    def on_receive(self, message: Any) -> Any:
        self.supervisor.tell(Saying(f"{self.name} got {message}"))


class FailingStopHook(ProcessActor):
    """Its `on_stop_requested` raises, and its last message needs the mailbox once more."""

    def on_stop_requested(self) -> None:
        raise OwnError("cannot hear of it")

    def on_stop(self) -> None:
        with contextlib.suppress(Exception):
            self.supervisor.ask(Question("still there?")).result()
