"""Results of entrypoints: what becomes plain data, what cannot, and those that are too large to be sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from run_folders import subactors
from subactors.runtime import Runtime, StateError, TeamFileError
from subactors.runtime.tasks.result import check_result, decode_result_file
from teams import PATIENCE, call, model, run_and_wait

pytestmark = pytest.mark.usefixtures("warm_commands", "zygote_for_tasks")

AGENTS = {
    name: {"entrypoint": f"returning_entrypoints:{name}"}
    for name in ("value", "text", "numbers", "rows", "swaps_its_result")
}
LARGE = 9_000_000
HERE_ALONE = pytest.mark.host_only("what is no file does not come home, where no file is found then")


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping({"agents": AGENTS}, standby=0, max_tasks=1000, **place) as runtime:
        run_and_wait(runtime, "value", "uuid")
        yield runtime


# --- what becomes plain data ----------------------------------------------------------------------------------------


@first_always(
    ("kind", "expected"),
    [
        ("pydantic", {"title": "one", "at": "2026-01-02T00:00:00Z", "places": [{"path": "/a", "score": 0.5}]}),
        ("pydantic in data", {"list": [{"path": "b", "score": 1.0}], "root": [1, 2]}),
        ("pydantic 1", {"at": "2026-01-02"}),
        ("pydantic with an array", {"array": [1.5]}),
        ("attrs in a dataclass", {"parts": [{"name": "one", "folder": "/c"}], "tags": ["tag"]}),
        ("struct", [{"number": 1}]),
        ("named tuple", [1, 2]),
        ("enums", ["red", 3]),
        ("paths", {"path": "/d", "odd": "/w=="}),
        ("dates", ["2026-01-02", "03:04:00", "PT3600S"]),
        ("sets", [[1], [2], ["a"], [1]]),
        ("numbers", ["1.10", 4, 0.5, 7, [[1, 2], [3, 4]]]),
        ("uuid", "00000000-0000-0000-0000-000000000001"),
        ("bytes", "YWL/"),
        ("text", ["own", "wrapped", "whole 😀"]),
        ("sequences", [[1], [0, 1], [3], [4]]),
        ("mappings", [{"a": 1}, {"b": 2}, {"c": 1}, {"d": 3}]),
        ("keys", {"1": "a", "null": "b", "2.5": "c", "d": 1, "red": 2, "3": 3, "4.0": 4}),
        ("truth as key", {"true": 1, "false": 0}),
        ("nothing", {"a": None, "b": [None]}),
    ],
    keep=9,
)
def test_a_result_becomes_plain_data(runtime: Runtime, kind: str, expected: Any) -> None:
    view = run_and_wait(runtime, "value", kind)

    assert (view.status, view.reason, view.result) == ("completed", "", expected)


def test_a_result_of_five_hundred_levels_is_one(runtime: Runtime) -> None:
    levels, nested = 0, run_and_wait(runtime, "value", "deep").result
    while nested:
        levels, nested = levels + 1, nested[0]

    assert levels == 500


# --- what cannot ----------------------------------------------------------------------------------------------------


@first_always(
    ("kind", "words"),
    [
        ("nan", "NaN at result['score'], infinity at result['limit']. JSON has no such numbers: return None, or text"),
        ("nan in an array", "minus infinity at result['rows'][1]['values'][1]."),
        ("nan in a model", "NaN at result[0]['score']."),
        ("nan as a key", "NaN as a key of result['a']."),
        ("nan alone", "NaN at result."),
        ("many nans", "NaN at result[0], NaN at result[1], NaN at result[2] and 2 more."),
        ("object", "result['rows'][1]['x'] is of type object. Return text, or"),
        ("function", "result[0] is of type function. Return text, or"),
        ("class", "result is of type ModelMetaclass. Return text, or"),
        ("complex", "result is of type complex. Return text, or"),
        ("tuple as key", "a key of result['a'] is of type tuple. Return text as keys, or"),
        ("stubborn", "result[0] could not be converted (PydanticSerializationError: Error calling function `refuse`"),
        ("long number", "result['primes'][1] is a number of thousands of digits, which Python does not read."),
        ("long number as key", "a key of result['a'] is a number of thousands of digits, which"),
        ("long number alone", "result is a number of thousands of digits, which Python does not read."),
        (
            "same key",
            "result['rows'][0] has two keys that both become '1', as JSON has text only. Return keys that differ",
        ),
        ("same key of a date", "a mapping in the result has two keys that both become '2026-01-02', as JSON has text"),
        ("same key of nothing", "result has two keys that both become 'null', as JSON has text only."),
        (
            "half a pair",
            "result is text with half of a surrogate pair, as a file name has that is not UTF-8, which JSON",
        ),
        ("half a pair inside", "result['names'][1] is text with half of a surrogate pair"),
        ("half a pair as key", "a key of result['a'] is text with half of a surrogate pair"),
        (
            "path that is no text",
            "result[0] is text with half of a surrogate pair, as a file name has that is not UTF-8",
        ),
        ("circle", "it is nested too deeply, or holds itself. Return text, or"),
        ("too deep", "it is nested too deeply, or holds itself. Return text, or"),
        ("too deep by far", "it is nested too deeply, or holds itself. Return text, or"),
        ("too deep mappings", "it is nested too deeply, or holds itself. Return text, or"),
        ("too deep objects", "it is nested too deeply, or holds itself. Return text, or"),
    ],
    keep=9,
)
def test_what_json_cannot_hold_fails_the_task_and_is_named_with_its_place(
    runtime: Runtime, kind: str, words: str
) -> None:
    view = run_and_wait(runtime, "value", kind)

    assert (view.status, view.result) == ("failed", None)
    assert view.reason.startswith("TypeError: The entrypoint of agent 'value' returned what JSON cannot hold: ")
    assert words in view.reason


# --- what is too large to be sent -----------------------------------------------------------------------------------


@first_always(
    ("agent", "task", "length"),
    [("text", str(LARGE), LARGE - 1), ("rows", "go", 70_000), ("numbers", "1500000", 1_500_000)],
)
def test_a_result_of_more_than_can_be_sent_arrives_whole(runtime: Runtime, agent: str, task: str, length: int) -> None:
    view = run_and_wait(runtime, agent, task)

    assert (view.status, view.reason, view.result_json) == ("completed", "", None)
    assert len(view.result) == length
    assert len(runtime.view(view.id).result) == length
    assert view.has_result
    assert view.as_data()["result"] is None
    assert len(view.as_data(whole=True)["result"]) == length
    assert json.loads(Path(view.result_file).read_text()) == view.result
    assert Path(view.result_file).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("value", ['{"a":', '["]", "[",'])
def test_a_file_with_more_levels_than_any_result_has_cannot_be_read_and_says_so(tmp_path: Path, value: str) -> None:
    file, end = tmp_path / "result.json", "]" if value.startswith("[") else "}"
    file.write_text(value * 500 + "1" + end * 500)
    decode_result_file(str(file))

    file.write_text(value * 501 + "1" + end * 501)
    with pytest.raises(StateError, match="cannot be read: it is nested in more than 500 levels"):
        decode_result_file(str(file))


@pytest.mark.parametrize("value", ["[[[[[[[[[[", '{\\"[', "\\[", "[]", '"\\\\\\"[["'])
def test_brackets_in_texts_and_beside_each_other_are_no_levels(value: str) -> None:
    check_result(json.dumps({value: [value] * 1000, "rows": [[], {value: [{}]}] * 1000}))


def test_a_result_beyond_the_limit_fails_the_task_names_limit_and_remedy_and_keeps_the_output(
    place: dict[str, Any],
) -> None:
    with Runtime.from_mapping({"agents": AGENTS}, standby=0, max_result=1_000_000, **place) as runtime:
        fits = run_and_wait(runtime, "text", "999990")
        large = run_and_wait(runtime, "text", "1000001")
        larger = run_and_wait(runtime, "text", str(LARGE))

    assert fits.status == "completed"
    for view, words in (
        (large, "1,000,003 bytes, more than max_result (1,000,000)"),
        (larger, "9.0 MB, more than max"),
    ):
        assert (view.status, view.output, view.result) == ("failed", "so far ", None)
        assert f"The result has {words}" in view.reason
        assert "Return less, or write it to a file and return its path" in view.reason
        assert "raise `max_result` under `runtime`" in view.reason


def test_a_result_of_too_many_values_for_anybody_fails_the_task(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "numbers", "10000001")

    assert view.status == "failed"
    assert "The result holds more than 10,000,000 values" in view.reason
    assert "write it to a file and return its path" in view.reason


@pytest.mark.parametrize(
    ("how", "words"),
    [
        pytest.param("fifo", "its result cannot be read: it is not a regular file", marks=HERE_ALONE),
        pytest.param("link", "its result cannot be read: Too many levels of symbolic links", marks=HERE_ALONE),
        ("gone", "its result cannot be read: No such file"),
        ("larger", "its result has 70 MB, more than max_result (64 MB)"),
    ],
)
def test_what_is_no_result_fails_the_task_and_holds_up_nobody(runtime: Runtime, how: str, words: str) -> None:
    view = run_and_wait(runtime, "swaps_its_result", how)

    assert (view.status, view.result) == ("failed", None)
    assert words in view.reason


def test_a_damaged_result_is_an_error_for_who_reads_it(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "swaps_its_result", "damaged")

    with pytest.raises(StateError, match=r"The result in .*\.json cannot be read"):
        _ = view.result
    assert runtime.view(view.id).status == "completed"


def test_a_model_reads_the_ends_of_a_large_result(place: dict[str, Any]) -> None:
    boss = {**model("follows_a_plan"), "sub_agents": ["text"], "toolsets": [{"type": "background_agents"}]}
    team = {"agents": {**AGENTS, "boss": boss}}
    with Runtime.from_mapping(team, standby=0, **place) as runtime, runtime.toolset("boss") as toolset:
        view = run_and_wait(runtime, "text", str(LARGE))
        task_id = call(toolset, "run_background_agent", agent="text", task=str(LARGE)).data["task_id"]
        runtime.wait([task_id], timeout=PATIENCE)
        answer = call(toolset, "view_background_agent", task_id=task_id)

    assert len(answer.text) <= 30_000
    assert "--- Result ---\néxxx" in answer.text
    assert "characters left out here." in answer.text
    assert (answer.data["result"], view.status) == (None, "completed")


def test_a_large_result_is_there_when_the_host_has_gone_and_for_later_ones(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    with Runtime.from_mapping({"agents": AGENTS}, standby=0, state_dir=tmp_path, **place) as runtime:
        view = run_and_wait(runtime, "text", str(LARGE))

    shown = subactors("view", view.id, root=tmp_path).stdout
    data = json.loads(subactors("view", view.id, "--json", root=tmp_path).stdout)
    listed = json.loads(subactors("ps", "--all", "--json", root=tmp_path).stdout)

    assert f"--- Result ---\n{view.result}\n" in shown
    assert data["result"] == view.result
    assert listed["result"] is None
    with Runtime.from_mapping({"agents": AGENTS}, standby=0, state_dir=tmp_path, **place) as later:
        assert later.view(view.id).result == view.result


def test_a_result_that_cannot_be_written_fails_the_task_and_says_where(tmp_path: Path) -> None:
    with Runtime.from_mapping({"agents": AGENTS}, standby=0, state_dir=tmp_path) as runtime:
        (runtime._host.folder.path / "results").write_text("in the way")
        view = run_and_wait(runtime, "text", str(LARGE))

    assert view.status == "failed"
    assert view.reason.startswith("StateError: The result of 9.0 MB cannot be written to ")
    assert view.output == "so far "


def test_the_limit_is_read_from_the_team_file_as_a_size() -> None:
    with Runtime.from_mapping({"agents": AGENTS, "runtime": {"max_result": "2MB"}}, standby=0) as runtime:
        assert runtime.team.settings.max_result == 2_000_000
    with pytest.raises(TeamFileError, match="not a size of at least 1 bytes"):
        Runtime.from_mapping({"agents": AGENTS, "runtime": {"max_result": "2 apples"}})
