from __future__ import annotations

import json
from typing import Any

import pytest
from subactors.runtime._model import Turn, Usage
from subactors.runtime._openai_stream import TurnAssembler


def assemble(*events: dict[str, Any]) -> tuple[Turn, list[str]]:
    """Put a turn together from the events of a stream; returns it and the pieces of text."""
    pieces: list[str] = []
    assembler = TurnAssembler(pieces.append)
    for event in events:
        assembler.add(event)
    return assembler.finish(), pieces


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def piece(
    *, index: int | None = None, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}
    entry = {"index": index, "id": call_id, "function": function}
    return delta(tool_calls=[{key: value for key, value in entry.items() if value is not None}])


def calls_of(turn: Turn) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in turn.tool_calls]


def test_interleaved_calls_are_told_apart_by_index() -> None:
    turn, _ = assemble(
        piece(index=0, call_id="a", name="one", arguments=""),
        piece(index=1, call_id="b", name="two", arguments=""),
        piece(index=0, arguments='{"x"'),
        piece(index=1, arguments='{"y"'),
        piece(index=0, arguments=": 1}"),
        piece(index=1, arguments=": 2}"),
    )

    assert [(call.id, call.name, call.arguments) for call in turn.tool_calls] == [
        ("a", "one", '{"x": 1}'),
        ("b", "two", '{"y": 2}'),
    ]


def test_pieces_without_an_index_are_told_apart_by_id() -> None:
    turn, _ = assemble(
        piece(call_id="a", name="one", arguments='{"x"'),
        piece(call_id="b", name="two", arguments='{"y": 2}'),
        piece(call_id="a", arguments=": 1}"),
    )

    assert calls_of(turn) == [("one", '{"x": 1}'), ("two", '{"y": 2}')]


def test_pieces_without_index_and_id_continue_the_last_call() -> None:
    turn, _ = assemble(piece(name="one", arguments='{"x"'), piece(arguments=": 1}"), piece(name="two", arguments="{}"))

    assert calls_of(turn) == [("one", '{"x": 1}'), ("two", "{}")]


def test_whole_calls_of_one_tool_without_index_and_id_are_several_calls() -> None:
    turn, _ = assemble(piece(name="one", arguments='{"x": 1}'), piece(name="one", arguments='{"x": 2}'))

    assert calls_of(turn) == [("one", '{"x": 1}'), ("one", '{"x": 2}')]


def test_a_name_that_comes_with_every_piece_is_taken_once() -> None:
    turn, _ = assemble(
        piece(name="one", arguments='{"x"'), piece(name="one", arguments=": 1}"), piece(name="one", arguments="")
    )

    assert calls_of(turn) == [("one", '{"x": 1}')]


def test_whole_calls_that_all_have_the_index_0_are_several_calls() -> None:
    turn, _ = assemble(
        piece(index=0, call_id="a", name="one", arguments='{"x": 1}'),
        piece(index=0, call_id="b", name="one", arguments="{}"),
    )

    assert calls_of(turn) == [("one", '{"x": 1}'), ("one", "{}")]


def test_a_new_id_with_every_piece_does_not_split_a_call() -> None:
    turn, _ = assemble(
        piece(index=0, call_id="a", name="one", arguments='{"x"'),
        piece(index=0, call_id="b", name="one", arguments=": 1}"),
    )

    assert calls_of(turn) == [("one", '{"x": 1}')]


def test_arguments_that_come_as_an_object_become_json_text() -> None:
    turn, _ = assemble(piece(index=0, call_id="a", name="one", arguments={"x": 1}))

    assert calls_of(turn) == [("one", '{"x": 1}')]


def test_calls_without_an_id_or_with_the_same_one_get_ids_of_their_own() -> None:
    turn, _ = assemble(
        piece(index=0, name="one", arguments="{}"),
        piece(index=1, call_id="x", name="two", arguments="{}"),
        piece(index=2, call_id="x", name="three", arguments="{}"),
    )

    ids = [call.id for call in turn.tool_calls]
    assert len(set(ids)) == 3
    assert all(ids)
    assert ids[1] == "x"


def test_half_written_arguments_are_passed_on_as_they_are() -> None:
    turn, _ = assemble(piece(index=0, call_id="a", name="one", arguments='{"x": "ab'), delta("length"))

    assert calls_of(turn) == [("one", '{"x": "ab')]


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


# --- calls ------------------------------------------------------------------------------------------------------------


def entry(name: str | None, arguments: Any, call_id: Any = None, index: Any = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize("together", [True, False], ids=["in one chunk", "in a chunk each"])
@pytest.mark.parametrize(
    "calls",
    [
        [("a", '{"x": 1}'), ("a", '{"x": 2}')],
        [("a", '{"x": 1}'), ("a", '{"x": 1}')],
        [("a", ""), ("b", '{"x": 2}')],
        [("a", ""), ("a", "")],
        [("a", None), ("b", '{"x": 2}'), ("a", None)],
        [("a", {}), ("a", []), ("b", {"x": 2})],
        [("", '{"x": 1}'), ("", '{"x": 2}')],
    ],
)
@pytest.mark.parametrize("index", [0, None, "0"])
def test_whole_calls_with_ids_of_their_own_are_told_apart_whatever_their_index(
    calls: list[tuple[str, Any]], together: bool, index: Any
) -> None:
    entries = [entry(name, arguments, f"id{n}", index) for n, (name, arguments) in enumerate(calls)]
    turn, _ = assemble(*([delta(tool_calls=entries)] if together else [delta(tool_calls=[one]) for one in entries]))

    assert [(call.id, call.name) for call in turn.tool_calls] == [(f"id{n}", name) for n, (name, _) in enumerate(calls)]
    wanted = [arguments if isinstance(arguments, str) else json.dumps(arguments or {}) for _, arguments in calls]
    assert [call.arguments for call in turn.tool_calls] == [arguments or "{}" for arguments in wanted]


@pytest.mark.parametrize("together", [True, False], ids=["in one chunk", "in a chunk each"])
@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize("call_id", [None, "", "same", 0])
def test_whole_calls_without_ids_or_with_one_id_for_all_are_told_apart(
    call_id: Any, index: int | None, together: bool
) -> None:
    entries = [
        entry("a", '{"x": 1}', call_id, index),
        entry("b", "{}", call_id, index),
        entry("b", '{"y": 2}', call_id, index),
    ]
    turn, _ = assemble(*([delta(tool_calls=entries)] if together else [delta(tool_calls=[one]) for one in entries]))

    assert calls_of(turn) == [("a", '{"x": 1}'), ("b", "{}"), ("b", '{"y": 2}')]
    assert len({call.id for call in turn.tool_calls}) == 3


def test_calls_of_one_chunk_without_anything_to_tell_them_apart_are_several() -> None:
    turn, _ = assemble(delta(tool_calls=[{"function": {"name": "a", "arguments": ""}}] * 2))

    assert calls_of(turn) == [("a", "{}"), ("a", "{}")]


def test_pieces_of_interleaved_calls_that_all_have_the_index_0_are_told_apart_by_id() -> None:
    turn, _ = assemble(
        delta(tool_calls=[entry("a", '{"x"', "1"), entry("b", '{"y"', "2")]),
        delta(tool_calls=[entry(None, ": 1}", "1"), entry(None, ": 2}", "2")]),
    )

    assert calls_of(turn) == [("a", '{"x": 1}'), ("b", '{"y": 2}')]


def test_a_new_id_with_every_piece_up_to_an_empty_last_one_does_not_split_a_call() -> None:
    turn, _ = assemble(
        piece(index=0, call_id="a", name="one", arguments='{"x"'),
        piece(index=0, call_id="b", name="one", arguments=": 1}"),
        delta(tool_calls=[entry(None, "", "c")]),
    )

    assert [(call.id, call.arguments) for call in turn.tool_calls] == [("a", '{"x": 1}')]


def test_a_call_that_is_repeated_word_for_word_is_one() -> None:
    whole = piece(index=0, call_id="a", name="one", arguments='{"x": 1}')

    assert calls_of(assemble(whole, whole)[0]) == [("one", '{"x": 1}')]


def test_an_empty_object_that_holds_the_place_of_arguments_is_replaced_by_them() -> None:
    turn, _ = assemble(
        piece(index=0, call_id="a", name="one", arguments="{}"),
        piece(index=0, arguments='{"x": '),
        piece(index=0, arguments="1}"),
    )

    assert calls_of(turn) == [("one", '{"x": 1}')]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"x": "ü"}, '{"x": "ü"}'),
        ({}, "{}"),
        ([], "{}"),
        (None, "{}"),
        ("", "{}"),
        ("  ", "{}"),
        ("null", "{}"),
        ("[]", "{}"),
        ('""', "{}"),
        ('"{\\"x\\": 1}"', '{"x": 1}'),
        ([{"x": 1}], '[{"x": 1}]'),
        (7, "7"),
        ('"a"', '"a"'),
        ("not json", "not json"),
    ],
)
def test_arguments_are_taken_where_their_meaning_is_plain_and_left_alone_where_not(arguments: Any, wanted: str) -> None:
    turn, _ = assemble(delta(tool_calls=[entry("one", arguments, "a")]))

    assert calls_of(turn) == [("one", wanted)]


def test_arguments_that_are_missing_are_none() -> None:
    turn, _ = assemble(delta("tool_calls", tool_calls=[{"id": "a", "function": {"name": "one"}}]))

    assert calls_of(turn) == [("one", "{}")]


def test_a_call_without_an_object_around_name_and_arguments_is_taken() -> None:
    assert calls_of(assemble(delta(tool_calls={"name": "one", "arguments": {"x": 1}}))[0]) == [("one", '{"x": 1}')]


def test_the_one_call_of_old_servers_is_taken_in_pieces() -> None:
    turn, _ = assemble(
        delta(function_call={"name": "one", "arguments": ""}),
        delta(function_call={"arguments": '{"x"'}),
        delta(function_call={"arguments": ": 1}"}),
        delta("function_call"),
    )

    assert calls_of(turn) == [("one", '{"x": 1}')]
    assert turn.tool_calls[0].id


@pytest.mark.parametrize("call_id", [7, 7.5, "7"])
def test_an_id_that_is_a_number_becomes_text(call_id: Any) -> None:
    assert assemble(delta(tool_calls=[entry("one", "{}", call_id)]))[0].tool_calls[0].id == str(call_id)


def test_a_call_that_was_cut_off_before_its_arguments_cannot_be_made_without_them() -> None:
    turn, _ = assemble(piece(index=0, call_id="a", name="one", arguments=""), delta("length"))

    assert calls_of(turn) == [("one", "{")]
    assert "token limit" in turn.content


# --- what goes back ---------------------------------------------------------------------------------------------------

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


# --- usage and choices ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("nothing", [None, [], [None], {}, [{}], [{"delta": None}], [{"delta": {}}]])
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
