"""Actors with attributes of every kind, which tests reach through proxies."""

from __future__ import annotations

import pykka
from subactors.actors import ProcessActor


class Inside:
    """A traversable attribute."""

    def __init__(self) -> None:
        self.depth = 1

    def double(self, number: int) -> int:
        return 2 * number


class Greeter(ProcessActor):
    """Has attributes of every kind, and gets more as it goes."""

    kind = "greeter"

    def __init__(self, name: str, *, mark: str = "!") -> None:
        super().__init__()
        self.name = name
        self.mark = mark
        self.inside = pykka.traversable(Inside())
        self._private = "hidden"

    def on_start(self) -> None:
        self.started = True

    def greet(self, whom: str = "you") -> str:
        """Say hello."""
        return f"{self.name} greets {whom}{self.mark}"

    def add_attribute(self) -> None:
        """Have an attribute that was not there before."""
        self.late = "late"


class SelfProxying(ProcessActor):
    """Keeps proxies to itself, and defers work to itself through them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []
        self.made_early = self.actor_ref.proxy()

    def on_start(self) -> None:
        self.made_on_start = self.actor_ref.proxy()

    def count_down(self, number: int) -> None:
        """Count, one message a step, by each proxy in turn."""
        self.steps.append(number)
        if number:
            later = self.made_early if number % 2 else self.made_on_start
            later.count_down.defer(number - 1)
