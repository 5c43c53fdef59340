"""What the HTTP server logs of errors: all but what comes of a message that nobody waits for any more."""

from __future__ import annotations

import logging

import pytest
from anyio import ClosedResourceError
from starlette.requests import ClientDisconnect
from subactors.runtime.serve.http import _is_fault


def closed() -> Exception:
    return ClosedResourceError()


def in_group(*errors: Exception) -> Exception:
    return ExceptionGroup("unhandled errors in a TaskGroup", errors)


def after(error: Exception, text: str) -> Exception:
    """Return an error that was raised while another one was handled."""
    later = RuntimeError(text)
    later.__context__ = error
    return later


COMPLETED = "Unexpected ASGI message 'http.response.start' sent, after response already completed."


@pytest.mark.parametrize(
    ("error", "is_logged"),
    [
        (closed(), False),
        (in_group(closed()), False),
        (after(closed(), COMPLETED), False),
        (after(ClientDisconnect(), COMPLETED), False),
        (after(in_group(closed()), COMPLETED), False),
        (after(closed(), "a fault of ours"), True),
        (after(ValueError("a fault of ours"), COMPLETED), True),
        (in_group(closed(), ValueError("a fault of ours")), True),
    ],
)
def test_only_a_message_that_nobody_waits_for_is_no_fault(error: Exception, *, is_logged: bool) -> None:
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "x", (), (type(error), error, None))
    assert _is_fault(record) is is_logged
