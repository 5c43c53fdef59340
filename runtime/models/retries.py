"""Retries: how often a request is sent again after a failure that may pass, and after how long.

Pure. One `Retries` belongs to one turn. Rate limits are not counted here: they are waited for (`patient`).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from ..errors import ModelError

if TYPE_CHECKING:
    from .base import Turn

__all__ = ["RETRY_COUNT", "BrokenStreamError", "MislabelledError", "Retries", "TransientError"]

RETRY_COUNT: Final = "x-stainless-retry-count"
"""Header that tells a server how often a request was sent before; the client library's own, and known to servers."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 8.0
"""Seconds. A fault that lasts longer is one for the next model, or for a person."""

_LONGEST_WAIT: Final = 120.0
"""Seconds that a server that failed may ask for; beyond it the failure is told at once."""


class BrokenStreamError(ModelError):
    """An answer broke off, or came no further: another try may well succeed."""


class MislabelledError(BrokenStreamError):
    """An answer says that it calls tools, and has text and no call.

    Either the server has lost the call, and another try may well bring it; or it says so of every answer.

    Attributes:
        turn: the answer as it came; it counts where it is not asked for again.
    """

    def __init__(self, message: str, turn: Turn) -> None:
        super().__init__(message)
        self.turn = turn


class TransientError(ModelError):
    """The server failed, or was not reached: another try may well succeed.

    Attributes:
        after: seconds until the server may be asked again; None where it does not say.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Retries:
    """Counts the failures of one turn.

    Args:
        most: how often the request may be sent again; after an answer that broke off, once at most.

    Attributes:
        count: how often it has been sent again.
    """

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most
        self._broken = 0
        self._failed = 0

    def pause(self, error: BrokenStreamError | TransientError) -> float:
        """Return how many seconds to wait before the request is sent again.

        Raises:
            ModelError: it is not to be sent again; the message is that of the failure, and has how often it was tried.
        """
        after = None
        if isinstance(error, TransientError):
            self._failed += 1
            after = error.after
            is_last = self._failed > self._most or (after or 0.0) > _LONGEST_WAIT
        else:
            self._broken += 1
            is_last = self._broken > min(self._most, 1)
        if is_last:
            raise ModelError(f"{error}{self._often}") from None
        own = min(_FIRST_PAUSE * 2.0**self.count, _LONGEST_PAUSE)
        self.count += 1
        if after is not None:
            return after
        return own * random.uniform(0.75, 1.0)  # noqa: S311 - spreads requests, hides nothing

    @property
    def _often(self) -> str:
        """Return how often the request has been sent, as a sentence; empty for once."""
        match self.count:
            case 0:
                return ""
            case 1:
                return " It was the second time."
            case count:
                return f" It was tried {count + 1} times."
