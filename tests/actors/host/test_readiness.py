"""Readiness: who asks whether an actor is ready hears it, whenever that is."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest
from process_listeners import PATIENCE
from subactors.actors.host.beginning import Readiness


def ask(readiness: Readiness, futures: list[Future[None]]) -> None:
    futures.append(readiness.future())


def test_who_asked_before_is_told() -> None:
    come, over = Readiness(), Readiness()
    futures = [come.future(), over.future()]
    come.come()
    over.end(ValueError("no such thing"))

    assert futures[0].result(0) is None
    with pytest.raises(ValueError, match="no such thing"):
        futures[1].result(0)


def test_who_asks_later_is_told_at_once() -> None:
    come, over = Readiness(), Readiness()
    come.come()
    over.end(ValueError("no such thing"))

    assert come.future().result(0) is None
    with pytest.raises(ValueError, match="no such thing"):
        over.future().result(0)


def test_all_who_ask_while_it_comes_are_told_the_same() -> None:
    for _ in range(200):
        readiness = Readiness()
        futures: list[Future[None]] = []
        askers = [threading.Thread(target=ask, args=[readiness, futures]) for _ in range(2)]
        for asker in askers:
            asker.start()
        readiness.come()
        for asker in askers:
            asker.join(PATIENCE)

        assert futures[0] is futures[1]
        assert futures[0].result(PATIENCE) is None
