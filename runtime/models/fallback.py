"""Fallback model: a model with stand-ins. A model that fails is passed over for a while, and the next one answers.

It decides only who answers. Each client decides how often it tries again before it counts as failed. A model's refusal
is not a failure, because it is an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from ..errors import ContextLengthError, ModelError, RateLimitError, RefusalError
from ..text import one_line
from .base import Message, Model, Said, ToolSchema, Turn, Usage

__all__ = ["FallbackModel"]


@dataclass
class _Candidate:
    """A model, and when (monotonic) it is to be asked first again after it failed."""

    reference: str
    model: Model
    rests_until: float = 0.0


class FallbackModel:
    """Several models that answer as one; implements `Model`.

    Args:
        models: by reference, in the order of preference.
        cooldown: seconds for which a model that failed is asked only if no other can answer.
    """

    def __init__(self, models: Sequence[tuple[str, Model]], *, cooldown: float) -> None:
        self._candidates = [_Candidate(reference, model) for reference, model in models]
        self._cooldown = cooldown

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], on_text: Callable[[str], None]
    ) -> Turn:
        """Answer with the first model that can; see `Model.complete`.

        Raises:
            ModelError: none of them could; the message has what each of them said.
            ContextLengthError: none of them could, and for one the conversation is too long.
            RateLimitError: none of them could, and one may when its rate limit is over.
        """
        now = time.monotonic()
        failures: list[Exception] = []
        for candidate in sorted(self._candidates, key=lambda candidate: candidate.rests_until > now):
            said = Said(on_text)
            try:
                turn = await candidate.model.complete(messages, tools, said)
            except RefusalError:
                raise
            except Exception as error:  # noqa: BLE001 - a function as a model raises what it likes
                failures.append(error)
                candidate.rests_until = time.monotonic() + self._cooldown
                if said.anything:
                    on_text(f"\n[{candidate.reference} broke off here: {one_line(str(error), 300)}]\n")
            else:
                candidate.rests_until = 0.0
                usage = turn.usage + self.take_unreported()
                return msgspec.structs.replace(turn, usage=usage, model=candidate.reference)
        sentences = dict.fromkeys(
            str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}" for error in failures
        )
        raise _together(failures, "\n".join(["No model could answer.", *sentences])) from None

    def take_unreported(self) -> Usage:
        return sum((candidate.model.take_unreported() for candidate in self._candidates), Usage())

    async def close(self) -> None:
        """Close all of them."""
        for candidate in self._candidates:
            await candidate.model.close()


def _together(failures: Sequence[Exception], message: str) -> ModelError:
    """Return the error for several failures: what can be done something about is more than what cannot."""
    if any(isinstance(error, ContextLengthError) for error in failures):
        return ContextLengthError(message)
    limited = [error for error in failures if isinstance(error, RateLimitError)]
    if not limited:
        return ModelError(message)
    soonest = min(limited, key=lambda error: error.after or 0.0)
    return RateLimitError(message, model=soonest.model, server=soonest.server, after=soonest.after)
