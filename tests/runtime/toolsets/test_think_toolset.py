"""The `think` tool: one log a task."""

from __future__ import annotations

import asyncio
import json

from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.think import ThinkToolset


def think(box: ToolBox, thought: str) -> ToolAnswer:
    return asyncio.run(box.call("think", json.dumps({"thought": thought})))


def test_a_thought_is_answered_with_all_thoughts_so_far() -> None:
    box = ToolBox([ThinkToolset()])
    think(box, "The file is missing.")
    answer = think(box, "Perhaps it was renamed.")
    assert not answer.is_error
    assert answer.text.index("The file is missing.") < answer.text.index("Perhaps it was renamed.")
    assert answer.data == {"thoughts": ["The file is missing.", "Perhaps it was renamed."]}


def test_each_toolset_has_a_log_of_its_own() -> None:
    one, other = ToolBox([ThinkToolset()]), ToolBox([ThinkToolset()])
    think(one, "mine")
    assert think(other, "yours").data == {"thoughts": ["yours"]}


def test_a_blank_thought_is_an_error_and_is_not_kept() -> None:
    box = ToolBox([ThinkToolset()])
    assert think(box, "  \n").is_error
    assert think(box, "something").data == {"thoughts": ["something"]}


def test_a_missing_thought_is_an_error_that_names_the_parameter() -> None:
    answer = asyncio.run(ToolBox([ThinkToolset()]).call("think", "{}"))
    assert answer.is_error
    assert "thought*" in answer.text


def test_a_long_log_reaches_the_model_cut() -> None:
    box = ToolBox([ThinkToolset()], limit=1_000)
    answer = think(box, "x" * 100_000)
    assert len(answer.text) < 1_200
    assert "left out" in answer.text


def test_the_model_is_told_what_the_log_is_for() -> None:
    (instruction,) = ToolBox([ThinkToolset()]).instructions
    assert "`think`" in instruction
