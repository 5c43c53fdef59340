"""Patient model: waits for the rate limit of another model, and then asks it again.

Decides how long a turn waits in all (`rate_patience`). When the next request may go is decided by the host
(`supervisor/rate_keeper`), so that the tasks of a fan-out take turns; without a way to the host, by the model's own
pauses. Nothing runs while a turn waits, so cancelling it ends the wait at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import RateLimitError, SubactorsError
from ..text import duration
from .base import RATE_WAIT, Message, Model, Said, ToolSchema, Turn, Usage
from .rate_pace import pause_before, spread

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["AskForTurn", "PatientModel"]

AskForTurn: TypeAlias = "Callable[[RateLimitError, bool], Future[Any]]"
"""Asks the host for the next request's turn: the limit that was met, and whether the last request was refused for it.
The future is done when the request may go, and raises a SubactorsError where the host cannot say."""

_UNTOLD: Final = 5.0
"""Seconds that a turn waits for the other tasks of the host before its output says so."""


class PatientModel:
    """A model whose rate limit is waited for; implements `Model`.

    Args:
        model: raises `RateLimitError` where its limit is reached.
        patience: seconds that one turn may wait in all, from its first refusal.
        ask_for_turn: the way to the host; None: there is none.
        is_alone: whether `model` is one model. If so, and once it was limited, the host is asked before each request.
    """

    def __init__(
        self, model: Model, *, patience: float, ask_for_turn: AskForTurn | None = None, is_alone: bool = True
    ) -> None:
        self._model = model
        self._patience = patience
        self._ask_for_turn = ask_for_turn
        self._is_alone = is_alone
        self._limited: RateLimitError | None = None

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], on_text: Callable[[str], None]
    ) -> Turn:
        """Answer the conversation; see `Model.complete`. Each wait is a line of the output.

        Raises:
            RateLimitError: the patience is over, or the server asks for more of it than there is.
        """
        refusals, refused = 0, 0.0
        if self._limited is not None and self._is_alone:
            await self._take_turn(self._limited, on_text)
        while True:
            said = Said(on_text)
            try:
                return await self._model.complete(messages, tools, said)
            except RateLimitError as error:
                self._limited = error
                now = time.monotonic()
                refusals, refused = refusals + 1, refused or now
                left = refused + self._patience - now
                if left <= 0.0 or (error.after or 0.0) > left:
                    raise self._gives_up(error, refusals, now - refused) from None
                await self._wait(error, refusals, left, said)

    def take_unreported(self) -> Usage:
        return self._model.take_unreported()

    async def close(self) -> None:
        await self._model.close()

    async def _wait(self, error: RateLimitError, refusals: int, left: float, say: Said) -> None:
        """Wait after a refusal, for `left` seconds at most: then the server is asked for the last time."""
        pause = min(pause_before(refusals, error.after), left)
        say(f"{chr(10) if say.anything else ''}{_line(error, pause)}")
        if not await self._is_let_go(error, refused=True, timeout=left):
            await asyncio.sleep(min(spread(pause), left))

    async def _take_turn(self, limited: RateLimitError, say: Callable[[str], None]) -> None:
        """Wait until the host lets the first request of a turn go."""
        telling = asyncio.get_running_loop().call_later(_UNTOLD, lambda: say(_line(limited, _UNTOLD)))
        try:
            await self._is_let_go(limited, refused=False, timeout=self._patience)
        finally:
            telling.cancel()

    async def _is_let_go(self, error: RateLimitError, *, refused: bool, timeout: float) -> bool:  # noqa: ASYNC109 - not a deadline of the caller's
        """Wait until the host says that the next request may go, or the time is over; False: it cannot say."""
        if self._ask_for_turn is None:
            return False
        turn = self._ask_for_turn(error, refused)
        try:
            await asyncio.wait_for(asyncio.wrap_future(turn), timeout)
        except TimeoutError:
            return True
        except SubactorsError:
            return False
        return True

    def _gives_up(self, error: RateLimitError, refusals: int, waited: float) -> RateLimitError:
        if refusals > 1:
            why = f"It was asked {refusals} times in {duration(waited)}, and `rate_patience` is {self._patience:g} s."
        else:
            why = f"It was not waited for, as `rate_patience` is {self._patience:g} s."
        return RateLimitError(f"{error} {why}", model=error.model, server=error.server, after=error.after)


def _line(error: RateLimitError, seconds: float) -> str:
    return f"[{RATE_WAIT}{error.model}, {seconds:.0f} s]\n"
