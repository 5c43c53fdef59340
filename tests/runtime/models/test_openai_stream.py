from __future__ import annotations

from typing import Any

import pytest
from completion_chunks import assemble, delta
from subactors.runtime.models.base import Usage
from subactors.runtime.models.openai.stream import TurnAssembler


def test_usage_in_a_last_chunk_without_choices_is_taken() -> None:
    turn, _ = assemble(
        delta(content="hi"), {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "other": {}}}
    )

    assert turn.usage == Usage(7, 3, 1)


def test_usage_with_every_chunk_is_the_last_one_and_not_the_sum() -> None:
    turn, _ = assemble(
        {**delta(content="a"), "usage": {"prompt_tokens": 7, "completion_tokens": 1}},
        {**delta(content="b"), "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
        {**delta("stop"), "usage": None},
    )

    assert turn.usage == Usage(7, 2, 1)


def test_without_usage_the_request_still_counts() -> None:
    turn, _ = assemble(delta(content="hi"))

    assert turn.usage == Usage(0, 0, 1)


def test_content_that_is_a_list_of_parts_gives_its_text() -> None:
    turn, pieces = assemble(
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
        delta(content=[{"type": "text", "text": "hi"}]),
    )

    assert turn.content == "hi"
    assert pieces == ["hi"]


def test_an_emoji_whose_halves_come_in_two_pieces_arrives_whole() -> None:
    turn, pieces = assemble(delta(content="a\ud83d"), delta(content="\ude00b"))

    assert turn.content == "a😀b"
    assert pieces == ["a", "😀b"]


def test_half_an_emoji_at_the_end_is_replaced() -> None:
    turn, pieces = assemble(delta(content="a\ud83d"))

    assert turn.content == "a\ufffd"
    assert "".join(pieces) == turn.content


def test_an_answer_cut_at_the_token_limit_says_so() -> None:
    turn, pieces = assemble(delta(content="It begins"), delta("length"))

    assert turn.content.startswith("It begins\n[")
    assert "token limit" in turn.content
    assert "".join(pieces) == turn.content


def test_missing_and_null_fields_are_no_problem() -> None:
    turn, _ = assemble(
        {}, {"choices": None}, {"choices": [{}]}, {"choices": [{"delta": None}]}, delta(content=None, tool_calls=None)
    )

    assert turn.content == ""
    assert turn.tool_calls == ()


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 7, "completion_tokens": 3},
        {"prompt_tokens": 7.2, "completion_tokens": 3.0},
        {"prompt_tokens": "7", "completion_tokens": "3.0"},
        {"input_tokens": 7, "output_tokens": 3},
        [{"prompt_tokens": 7, "completion_tokens": 3}],
        [None, {"prompt_tokens": 7}, {"completion_tokens": 3}],
    ],
)
def test_usage_is_taken_in_each_shape(usage: Any) -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0}
    for event in ({"usage": usage}, {"x_groq": {"usage": usage}}, {"choices": [{"usage": usage}]}):
        assert assemble(event, delta("stop", content="hi"))[0].usage == Usage(7, 3, 1)
        assert assemble(delta("stop", content="hi"), event, {"usage": zeros}, {"usage": None})[0].usage == Usage(
            7, 3, 1
        )


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        [None],
        "many",
        3,
        {"prompt_tokens": None, "completion_tokens": "many"},
        {"prompt_tokens": -1, "completion_tokens": float("nan")},
        {"prompt_tokens": [], "completion_tokens": True, "prompt_tokens_details": 3},
    ],
)
def test_usage_that_says_nothing_is_no_problem(usage: Any) -> None:
    assert assemble(delta(content="hi"), {"choices": [], "usage": usage})[0].usage == Usage(0, 0, 1)


def test_figures_without_a_bound_are_bounded() -> None:
    assert assemble({"usage": {"prompt_tokens": 1e300, "completion_tokens": 10**400}})[0].usage.input_tokens == 2**53


def test_of_several_choices_one_is_the_answer() -> None:
    both = [{"index": index, "delta": {"content": f"{index}"}, "finish_reason": "stop"} for index in (0, 1)]

    assert assemble({"choices": both}, {"choices": both[::-1]})[0].content == "00"
    assert assemble({"choices": [{**both[0], "index": 3}]})[0].content == "0"


@pytest.mark.parametrize(
    "nothing", [None, [], [None], {}, [{}], [[]], [{"delta": None}], [{"delta": {}}], [{"delta": [], "message": []}]]
)
def test_a_chunk_that_says_nothing_is_no_problem(nothing: Any) -> None:
    assert assemble({"choices": nothing}, delta(content="hi"), {"choices": nothing})[0].content == "hi"


@pytest.mark.parametrize(
    "content",
    [
        "hi",
        ["hi"],
        {"type": "text", "text": "hi"},
        {"text": "hi"},
        [{"type": "text", "text": "h"}, "i", None],
        [{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": "hi"}, {"type": "image"}],
    ],
)
def test_content_is_taken_in_each_shape(content: Any) -> None:
    assert assemble(delta(content=content))[0].content == "hi"
    assert assemble({"choices": [{"delta": "h"}]}, {"choices": {"delta": {"content": "i"}}})[0].content == "hi"


def test_a_refusal_may_be_a_part_of_the_content() -> None:
    assembler = TurnAssembler([].append)
    assembler.add(delta(content=[{"type": "refusal", "refusal": "I will "}], refusal=None))
    assembler.add(delta(refusal="not."))

    assert assembler.refusal == "I will not."
