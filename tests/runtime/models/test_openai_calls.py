from __future__ import annotations

import json
from typing import Any

import pytest
from completion_chunks import assemble, calls_of, delta, entry, piece


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


def test_a_name_in_pieces_is_put_together() -> None:
    turn, _ = assemble(
        piece(index=0, call_id="a", name="read_", arguments=""),
        piece(index=0, name="file"),
        piece(index=0, arguments='{"x": 1}'),
    )

    assert calls_of(turn) == [("read_file", '{"x": 1}')]


def test_line_breaks_in_the_strings_of_arguments_need_not_be_escaped() -> None:
    turn, _ = assemble(
        piece(index=0, call_id="a", name="one", arguments='{"x": "a\n\tb"}'),
        piece(index=0, call_id="b", name="one", arguments='{"x": "c\n"}'),
    )

    assert [json.loads(call.arguments) for call in turn.tool_calls] == [{"x": "a\n\tb"}, {"x": "c\n"}]


def test_calls_in_an_object_by_their_index_are_taken() -> None:
    calls = {"0": entry(call_id="a", name="one", arguments="{}"), "1": entry(call_id="b", name="two", arguments="{}")}

    turn, _ = assemble(delta(tool_calls=calls))

    assert calls_of(turn) == [("one", "{}"), ("two", "{}")]


@pytest.mark.parametrize("fields", [{"call_id": "a"}, {"call_id": "a", "name": "one"}, {"name": "one"}, {}])
def test_long_arguments_in_small_pieces_are_not_read_anew_with_each_piece(
    fields: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"x": 'if (a) { b("\\") } ' * 500})
    read, loads = 0, json.loads

    def counted(text: str, **options: Any) -> Any:
        nonlocal read
        read += len(text)
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", counted)
    first = piece(index=0, call_id="a", name="one", arguments="")
    turn, _ = assemble(first, *(piece(index=0, arguments=letter, **fields) for letter in text))

    assert calls_of(turn) == [("one", text)]
    assert read < 10 * len(text)
