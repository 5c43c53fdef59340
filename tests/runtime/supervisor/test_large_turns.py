"""Turns of any size: an answer is whole, and a restart finds as much of the conversation as a message can carry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import large_turn_models
import pytest
from large_turn_models import SIZE
from subactors.runtime import Runtime
from subactors.runtime.child.reporter import _REPORTED_MESSAGES, as_json
from teams import run_and_wait


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    again = {"restart": {"policy": "transient", "max_restarts": 1, "backoff": 0.01}}
    agents = {
        "answers": {"model": f"python/{large_turn_models.__name__}:answers"},
        "streams": {"model": f"python/{large_turn_models.__name__}:streams"},
        "calls": {
            "model": f"python/{large_turn_models.__name__}:calls_and_fails",
            "toolsets": [{"type": "think"}],
            "max_old_tool_call_tokens": -1,
            **again,
        },
    }
    with Runtime.from_mapping({"agents": agents}, standby=0) as runtime:
        yield runtime


@pytest.mark.parametrize(("agent", "character"), [("answers", "ä"), ("streams", "x")])
def test_an_answer_of_a_model_that_is_longer_than_a_message_is_whole(
    runtime: Runtime, agent: str, character: str
) -> None:
    view = run_and_wait(runtime, agent)

    assert (view.status, view.reason) == ("completed", "")
    assert view.result == character * SIZE


def test_a_restart_goes_on_from_a_turn_that_was_longer_than_a_message(runtime: Runtime, tmp_path: Path) -> None:
    view = run_and_wait(runtime, "calls", f"marker={tmp_path / 'marker'}=")

    assert (view.status, view.reason, view.attempts) == ("completed", "", 2)
    length, _, arguments = view.result.partition(" ")
    assert 10_000 < int(length) < SIZE
    assert arguments == str(["{}", json.dumps({"thought": "short"})])


def test_what_is_kept_of_large_messages_fits_into_one_report_whatever_they_are_made_of() -> None:
    messages = [
        {"role": "assistant", "content": "\U0001f600" * 3_000_000, "reasoning": "x" * 5_000_000},
        {"role": "tool", "tool_call_id": "1", "content": "short"},
        {"role": "user", "content": [{"type": "text", "text": "\ud800" * 3_000_000}]},
        {"role": "assistant", "content": None, "extra": ["x"] * 1_000_000},
    ]
    kept = as_json(messages)

    assert sum(map(len, kept)) < _REPORTED_MESSAGES
    assert json.loads(kept[1]) == messages[1]
    assert [json.loads(text)["role"] for text in kept] == ["assistant", "tool", "user", "assistant"]
