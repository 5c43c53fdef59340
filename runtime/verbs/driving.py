"""Driving: takes verbs to their ends in the calling thread."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, TypeVar

from ...actors.interrupts import result_of
from ..tasks.gateway import ReplyToFuture
from ..tasks.messages import Reading, Request
from .steps import Steps
from .way import Way, stop_unknown

__all__ = ["drive"]

T = TypeVar("T")
Reply = TypeVar("Reply")


def drive(way: Way, verb: Steps[T]) -> T:
    """Take a verb to its end. An interrupt (`KeyboardInterrupt`) ends the wait, and stops no task that is known."""
    try:
        request = next(verb)
        while True:
            try:
                reply = _answer(way, request)
            except BaseException as error:  # noqa: BLE001 - the verb decides
                request = verb.throw(error)
            else:
                if isinstance(request, Reading):
                    way.held.note_ends(reply)
                request = verb.send(reply)
    except StopIteration as done:
        value: T = done.value
        return value


def _answer(way: Way, request: Request[Reply]) -> Reply:
    future: Future[Reply] = Future()
    reply_to = ReplyToFuture(future)
    way.send(request, reply_to)
    try:
        return result_of(future)
    except BaseException as error:
        if not future.done() or future.exception() is not error:  # interrupted
            way.forget(reply_to)
            future.add_done_callback(lambda late: _stop_unknown(late, way))
        raise


def _stop_unknown(late: Future[Any], way: Way) -> None:
    """Stop what has been started meanwhile. Runs in the thread that answers."""
    stop_unknown(way, None if late.cancelled() or late.exception() is not None else late.result())
