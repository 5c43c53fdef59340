"""Continuation: a conversation that broke off somewhere, as one that its model can go on with. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..models.base import Message

__all__ = ["EFFECTS_UNKNOWN", "with_unknown_effects"]

EFFECTS_UNKNOWN: Final = (
    "[Effects unknown: this call had begun when the process of the task ended, and its answer is lost. It may have "
    "done all of its work, a part of it or nothing. Look at what is there before you call it again.]"
)
"""The answer to a call that had begun and not ended."""


def with_unknown_effects(conversation: Sequence[Message]) -> list[Message]:
    """Return a conversation in which each call has an answer: those that have none get `EFFECTS_UNKNOWN`.

    The same conversation becomes the same, also where it has grown since; servers cache a beginning that stays.
    """
    messages: list[Message] = []
    calls: list[str] = []
    answers: list[Message] = []
    for message in conversation:
        if message["role"] == "tool":
            answers.append(message)
            continue
        messages += [*_in_order(calls, answers), message]
        calls, answers = [call["id"] for call in message.get("tool_calls") or ()], []
    return [*messages, *_in_order(calls, answers)]


def _in_order(calls: Sequence[str], answers: list[Message]) -> list[Message]:
    """Return the answers to a turn's calls in the order of these."""
    left = list(answers)
    ordered = []
    for call_id in calls:
        found = next((answer for answer in left if answer.get("tool_call_id") == call_id), None)
        if found is not None:
            left.remove(found)
        ordered.append(found or {"role": "tool", "tool_call_id": call_id, "content": EFFECTS_UNKNOWN})
    return ordered + left
