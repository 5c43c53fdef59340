from __future__ import annotations

from typing import Any

import pytest
from completion_chunks import assemble, calls_of, delta, entry
from subactors.runtime.models.openai.stream import TurnAssembler

SIGNATURE = {"google": {"thought_signature": "abc"}}


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_joined_and_is_neither_answer_nor_output(name: str) -> None:
    turn, pieces = assemble(
        delta(**{name: "I should "}), delta(**{name: "think.", "content": None}), delta(content="4")
    )

    assert turn.opaque == {name: "I should think."}
    assert (turn.content, pieces) == ("4", ["4"])


def test_reasoning_that_is_empty_goes_back_and_one_that_is_null_does_not() -> None:
    assert assemble(delta(content="4", reasoning_content="", reasoning=None))[0].opaque == {"reasoning_content": ""}
    assert assemble(delta(content="4", reasoning_content=None, reasoning_details=[]))[0].opaque == {}


def test_half_a_character_of_reasoning_is_made_whole_or_replaced() -> None:
    turn, _ = assemble(delta(reasoning="a\ud83d"), delta(reasoning="\ude00b\ud83d"))

    assert turn.opaque == {"reasoning": "a😀b\ufffd"}


@pytest.mark.parametrize(
    "texts",
    [["I should think."], ["I should ", "think."], ["I should ", "I should think."], ["I should think."] * 2],
    ids=["once", "in pieces", "growing", "repeated"],
)
def test_reasoning_of_a_message_is_taken_as_its_content_is(texts: list[str]) -> None:
    turn, _ = assemble(*[{"choices": [{"message": {"reasoning": text}}]} for text in texts])

    assert turn.opaque == {"reasoning": "I should think."}


def test_reasoning_of_the_whole_message_after_its_pieces_is_taken_once() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "index": 0}]
    whole = {"reasoning": "I think.", "reasoning_details": details, "content": "4"}
    turn, _ = assemble(
        delta(reasoning="I "),
        delta(reasoning="think.", reasoning_details=details),
        delta(content="4"),
        {"choices": [{"message": whole, "finish_reason": "stop"}]},
    )

    assert turn.opaque == {"reasoning": "I think.", "reasoning_details": details}


def details_of(*lists: list[Any]) -> Any:
    return assemble(*[delta(reasoning_details=details) for details in lists])[0].opaque["reasoning_details"]


def test_details_that_come_whole_stay_as_they_came() -> None:
    details = [
        {"type": "reasoning.summary", "summary": "s", "id": "1", "format": "x", "index": 0},
        {"type": "reasoning.encrypted", "data": "abc", "id": "2", "format": "x", "index": 1},
        {"type": "reasoning.text", "text": "t", "signature": None, "id": None, "format": "y", "index": 2, "more": [1]},
        "what nobody knows",
    ]

    assert details_of(details) == details
    assert details_of(*[[detail] for detail in details]) == details


def test_pieces_of_a_detail_are_joined_by_index() -> None:
    assert details_of(
        [{"type": "reasoning.text", "text": "I ", "index": 0, "format": None}],
        [{"type": "reasoning.text", "text": "You ", "index": 1}],
        [{"type": "reasoning.text", "text": "think", "index": 0, "format": "x"}],
        [{"type": "reasoning.text", "text": "sleep", "index": 1}],
        [{"type": "reasoning.text", "text": "", "signature": "sig", "index": 0, "format": None}],
        [{"type": "reasoning.encrypted", "data": "abc", "index": 0}],
        [{"type": "reasoning.encrypted", "data": "def", "index": 0}],
    ) == [
        {"type": "reasoning.text", "text": "I think", "index": 0, "format": "x", "signature": "sig"},
        {"type": "reasoning.text", "text": "You sleep", "index": 1},
        {"type": "reasoning.encrypted", "data": "abcdef", "index": 0},
    ]


def test_pieces_of_a_detail_without_an_index_are_joined_if_they_are_text() -> None:
    assert details_of(
        [{"type": "reasoning.text", "text": "I "}],
        [{"type": "reasoning.text", "text": "think"}],
        [{"type": "reasoning.encrypted", "data": "abc"}],
        [{"type": "reasoning.encrypted", "data": "def"}],
        [{"type": "reasoning.text", "text": "more"}],
    ) == [
        {"type": "reasoning.text", "text": "I think"},
        {"type": "reasoning.encrypted", "data": "abc"},
        {"type": "reasoning.encrypted", "data": "def"},
        {"type": "reasoning.text", "text": "more"},
    ]


def test_what_is_encrypted_for_two_calls_is_not_joined() -> None:
    details = [{"type": "reasoning.encrypted", "data": "abc", "id": name, "index": 0} for name in ("call_1", "call_2")]
    nameless = [{"type": "reasoning.encrypted", "data": data, "index": 0} for data in ("abc", "def")]

    assert details_of(details) == details
    assert details_of(details[:1], details[1:]) == details
    assert details_of(nameless) == nameless


@pytest.mark.parametrize("index", [0, None])
def test_extra_content_stays_with_its_call(index: int | None) -> None:
    second = {"vertex": {"thought_signature": "def"}}
    turn, _ = assemble(
        delta(tool_calls=[entry("a", "{}", "1", index, extra_content=SIGNATURE), entry("b", "{}", "2", index)]),
        delta(tool_calls=[entry("c", "{}", "3", index, extra_content=second)]),
    )

    assert [call.extra for call in turn.tool_calls] == [SIGNATURE, None, second]


@pytest.mark.parametrize("index", [0, 1], ids=["all have the index 0", "each has an index"])
@pytest.mark.parametrize(
    "late", [{"id": "2"}, {"id": "2", "function": None}, {"id": "2", "function": {"arguments": ""}}]
)
def test_extra_content_that_comes_later_is_put_to_its_call(late: dict[str, Any], index: int) -> None:
    turn, _ = assemble(
        delta(tool_calls=[entry("a", "{}", "1", 0), entry("b", "{}", "2", index), entry("c", "{}", "3", index * 2)]),
        delta(tool_calls=[{"index": index, **late, "extra_content": SIGNATURE}]),
    )

    assert calls_of(turn) == [("a", "{}"), ("b", "{}"), ("c", "{}")]
    assert [call.extra for call in turn.tool_calls] == [None, SIGNATURE, None]


def test_extra_content_in_two_pieces_is_merged() -> None:
    turn, _ = assemble(
        delta(tool_calls=[entry("a", "{}", "1", extra_content={"google": {"x": 1}})]),
        delta(tool_calls=[{"index": 0, "extra_content": SIGNATURE}], extra_content={"google": {"y": 2}}),
    )

    assert turn.tool_calls[0].extra == {"google": {"x": 1, "thought_signature": "abc"}}
    assert turn.opaque == {"extra_content": {"google": {"y": 2}}}


def test_the_thoughts_that_gemini_marks_beside_the_content_are_no_answer() -> None:
    thought = {"extra_content": {"google": {"thought": True}}}
    turn, pieces = assemble(
        delta(content="<thought>Let me", **thought), delta(content=" see.", **thought), delta(content="</thought>4")
    )

    assert (turn.content, pieces, turn.opaque) == ("4", ["4"], {})


def test_blocks_of_thinking_are_joined_up_to_their_signature() -> None:
    """So does LiteLLM send what Anthropic's models think."""

    def block(thinking: str, signature: str | None = None) -> dict[str, Any]:
        piece = {"type": "thinking", "thinking": thinking, "signature": signature}
        return delta(thinking_blocks=[piece], reasoning_content=thinking)

    turn, _ = assemble(
        block("I "), block("think"), block("", "abc"), block("More"), block("", "def"), delta(content="4")
    )

    assert turn.opaque == {
        "reasoning_content": "I thinkMore",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "I think", "signature": "abc"},
            {"type": "thinking", "thinking": "More", "signature": "def"},
        ],
    }


def test_what_copilot_has_beside_the_reasoning_is_kept() -> None:
    turn, _ = assemble(
        delta(reasoning_text="I "), delta(reasoning_text="think", reasoning_opaque="abc"), delta(content="4")
    )

    assert turn.opaque == {"reasoning_text": "I think", "reasoning_opaque": "abc"}


@pytest.mark.parametrize("value", [10**30, [float("nan")], {"a": float("inf")}])
def test_what_can_be_neither_journaled_nor_sent_is_left_out(value: Any) -> None:
    call = entry("a", "{}", "1", extra_content={"google": value})
    turn, _ = assemble(delta(reasoning={"a": value}, reasoning_content="hm", tool_calls=[call]))

    assert turn.opaque == {"reasoning_content": "hm"}
    assert turn.tool_calls[0].extra is None


# --- reasoning in the text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\nIt is <b>4</b>.\n</think>\n\nFour.", "Four."),
        (" \n<think></think>Four.", "Four."),
        ("[THINK]4?[/THINK]Four.", "Four."),
        ("<thinking>4?</think></thinking> Four. </thinking>", "Four. </thinking>"),
        ("<thin ice>", "<thin ice>"),
        ("\n\n  Four.", "\n\n  Four."),
        ("Four. <think>not</think>", "Four. <think>not</think>"),
        ("<", "<"),
    ],
)
def test_reasoning_with_which_a_text_begins_is_no_answer(text: str, answer: str, size: int) -> None:
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    turn, heard = assemble(delta(content=""), *[delta(content=piece) for piece in pieces])

    assert turn.content == "".join(heard) == answer
    # Its own server gets it back as it came.
    assert turn.opaque == ({} if answer == text else {"content": text})


@pytest.mark.parametrize("text", ["<think>It is 4.", "<think>It is 4.</think>", "<think>4</think>\n\n", "\n"])
def test_reasoning_in_a_text_without_an_answer_is_nothing_usable(text: str) -> None:
    assembler = TurnAssembler([].append)
    assembler.add(delta("stop", content=text))

    assert not assembler.is_usable
    assert assembler.has_reasoning == ("<think>" in text)
