from __future__ import annotations

from typing import Any

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
