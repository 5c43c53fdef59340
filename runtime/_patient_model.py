"""Patient model: waits for the rate limit of another model, and then asks it again.

Decides how long a turn waits in all (`rate_patience`). When the next request may go is the host's business where there
is a way to it, so that the tasks of a fan-out take turns; without one, the model's own pace decides. Waiting is nothing
but a sleep: cancelling the turn ends it at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from ._errors import RateLimitError
from ._model import Message, Model, Said, Turn, Usage
from ._rate_pace import pause_before
from ._report import duration
from ._tools import ToolSchema

if TYPE_CHECKING:
    pass

__all__ = ["PatientModel"]


class PatientModel:
    """A model whose rate limit is waited for; implements `Model`.

    Args:
        model: raises `RateLimitError` where its limit is reached.
        patience: seconds that one turn may wait in all, from its first refusal.
    """

    def __init__(self, model: Model, *, patience: float) -> None:
        self._model = model
        self._patience = patience

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], on_text: Callable[[str], None]
    ) -> Turn:
        """Answer the conversation; see `Model.complete`. Each wait is a line of the output.

        Raises:
            RateLimitError: the patience is over, or the server asks for more of it than there is.
        """
        refusals, refused = 0, 0.0
        while True:
            said = Said(on_text)
            try:
                turn = await self._model.complete(messages, tools, said)
            except RateLimitError as error:
                now = time.monotonic()
                refusals, refused = refusals + 1, refused or now
                left = refused + self._patience - now
                if left <= 0.0 or (error.after or 0.0) > left:
                    raise self._gives_up(error, refusals, now - refused) from None
                await self._wait(error, refusals, left, said)
            else:
                return msgspec.structs.replace(turn, usage=turn.usage + self.take_unreported())

    def take_unreported(self) -> Usage:
        """See `Model.take_unreported`."""
        return self._model.take_unreported()

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()

    async def _wait(self, error: RateLimitError, refusals: int, left: float, say: Said) -> None:
        seconds = min(pause_before(refusals, error.after), left)
        say(f"{chr(10) if say.anything else ''}[waiting for the rate limit of {error.model}, {seconds:.0f} s]\n")
        await asyncio.sleep(seconds)

    def _gives_up(self, error: RateLimitError, refusals: int, waited: float) -> RateLimitError:
        if refusals > 1:
            why = f"It was asked {refusals} times in {duration(waited)}, and `rate_patience` is {self._patience:g} s."
        else:
            why = f"It was not waited for, as `rate_patience` is {self._patience:g} s."
        return RateLimitError(f"{error} {why}", model=error.model, server=error.server, after=error.after)
