"""The `mcp` toolset over a pipe, with a server that misbehaves when asked to and speaks the oldest protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp_toolset_calls import SCRIPT, call, failure, names_of, opened, run, script
from processes_and_waits import is_gone
from subactors.runtime import ToolAnswer, ToolsetError
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.mcp.toolset import McpToolset
from subactors.runtime.toolsets.think import ThinkToolset

# --- what the model sees --------------------------------------------------------------------------------------------


def test_the_tools_of_a_server_are_offered_with_their_schemas_as_providers_want_them() -> None:
    async def schema(box: ToolBox) -> dict[str, Any]:
        return box.schemas[0]

    assert run(schema) == {
        "type": "function",
        "function": {
            "name": "echo",
            "description": "Does echo.",
            "parameters": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "nullable": {"type": ["string", "null"]}},
            },
        },
    }


def test_what_the_server_says_about_itself_is_in_the_instructions() -> None:
    async def instructions(box: ToolBox) -> list[str]:
        return box.instructions

    (text,) = run(instructions)
    assert text.startswith("## ")
    assert text.endswith("Ask for one thing at a time.")


def test_a_list_of_tools_in_several_pages_is_read_to_its_end() -> None:
    assert run(names_of, script("--pages")) == run(names_of)


def test_names_that_no_provider_takes_are_changed_and_stay_different() -> None:
    names = run(names_of, script("--quirks"))
    assert names[-3:] == ["a_b_c", "a_b_c_2", "x" * 64]
    assert json.loads(call("a_b_c_2", {"text": "t"}, server=script("--quirks")).text) == {"text": "t"}


def test_a_name_stands_before_the_names_of_the_tools() -> None:
    assert run(names_of, name="old")[:2] == ["old_echo", "old_pid"]
    assert call("old_count", name="old").text == "1"


@pytest.mark.parametrize("wanted", [("echo", "count"), ("old_echo", "old_count"), ("count", "old_echo")])
def test_only_the_tools_that_are_wanted_are_offered(wanted: tuple[str, ...]) -> None:
    assert run(names_of, name="old", tools=wanted) == ["old_echo", "old_count"]


def test_a_wanted_tool_that_the_server_has_not_fails_the_start_and_lists_those_it_has() -> None:
    reason = failure(script(), tools=("echo", "ecco"))
    assert "has no tool 'ecco', which `tools` names" in reason
    assert "Its tools are: echo, pid, count" in reason


def test_two_tools_of_one_name_fail_the_start_with_the_remedy() -> None:
    async def main() -> None:
        servers = [
            McpToolset(working_directory=Path.cwd(), environ=os.environ, server=script(), tools=("echo",))
            for _ in range(2)
        ]
        box = ToolBox([ThinkToolset(), *servers])
        try:
            await box.open()
        finally:
            await box.close()

    with pytest.raises(ToolsetError, match=r"Two toolsets have a tool 'echo'. Give the MCP server's toolset a `name`"):
        asyncio.run(main())


def test_arguments_that_are_null_are_left_out_unless_the_schema_has_a_place_for_null() -> None:
    answer = call("echo", {"text": None, "nullable": None, "number": 1})
    assert json.loads(answer.text) == {"nullable": None, "number": 1}


def test_arguments_that_are_no_object_are_answered_with_an_error() -> None:
    answer = call("echo", [1])
    assert answer.is_error
    assert "a JSON object is needed, not list. Parameters (* required): text, nullable." in answer.text


# --- what the server answers ----------------------------------------------------------------------------------------


def test_an_error_of_a_tool_is_an_error() -> None:
    assert call("fail") == ToolAnswer("the disk is full", is_error=True)


def test_an_error_without_words_says_so() -> None:
    assert call("fail_silently") == ToolAnswer("The tool failed and did not say why.", is_error=True)


def test_a_refusal_of_the_server_is_an_error_with_its_words() -> None:
    answer = call("refuse")
    assert answer.is_error
    assert "refused the call: the server refuses tools/call" in answer.text


def test_an_answer_that_is_no_answer_is_an_error_and_the_session_goes_on() -> None:
    async def work(box: ToolBox) -> tuple[ToolAnswer, ToolAnswer]:
        return await box.call("nonsense", ""), await box.call("count", "")

    wrong, right = run(work)
    assert wrong.is_error
    assert "could not be used" in wrong.text
    assert right.text == "2"


def test_an_image_is_described_and_not_passed_on() -> None:
    assert call("image").text == "[An image (image/png, 70 bytes), which cannot be shown here.]"


def test_a_resource_of_text_is_its_text() -> None:
    assert call("page").text == "[The resource file:///notes.txt:]\nthe notes"


def test_a_binary_resource_is_described() -> None:
    assert call("blob").text == "[The resource file:///a.bin (application/zip, 70 bytes), which is not text.]"


def test_an_empty_answer_says_that_there_was_none() -> None:
    assert call("nothing") == ToolAnswer("(no output)")


def test_an_answer_is_bounded() -> None:
    answer = call("long", {"length": 1_000_000})
    assert len(answer.text) < 31_000
    assert "970,000 of 1,000,000 characters left out here" in answer.text


def test_half_a_character_harms_neither_an_answer_nor_a_call() -> None:
    async def work(box: ToolBox) -> list[ToolAnswer]:
        return [await box.call("half", ""), await box.call("echo", '{"text": "\\ud83d"}')]

    answer, echo = run(work)
    assert re.fullmatch("half a . character", answer.text)
    assert not echo.is_error


def test_arguments_that_are_nested_without_reason_are_an_error_and_not_the_end() -> None:
    async def work(box: ToolBox) -> list[ToolAnswer]:
        return [await box.call("echo", '{"a":' * 900 + "1" + "}" * 900), await box.call("count", "")]

    deep, after = run(work)
    assert deep.is_error
    assert after == ToolAnswer("1")


def test_a_message_beyond_all_bounds_ends_the_server_and_not_the_task() -> None:
    answer = call("long", {"length": 17 * 2**20})
    assert answer.is_error
    assert "It sent a message of more than 16,777,216 bytes." in answer.text


def test_a_line_that_is_no_message_is_passed_over() -> None:
    assert call("noise") == ToolAnswer("after the noise")


# --- the program and its environment --------------------------------------------------------------------------------


def test_a_server_has_the_environment_of_the_task_and_its_own_over_it() -> None:
    server = script(env={"COLOUR": "${env.SHADE} red", "GIVEN": "own"})

    async def work(box: ToolBox) -> list[str]:
        return [
            (await box.call("environment", json.dumps({"name": name}))).text for name in ("COLOUR", "GIVEN", "HOST")
        ]

    assert run(work, server, environ={"SHADE": "dark", "GIVEN": "task", "HOST": "there"}) == [
        "dark red",
        "own",
        "there",
    ]


def test_a_server_starts_in_the_folder_that_the_file_names(tmp_path: Path) -> None:
    assert call("folder").text == str(Path.cwd())
    assert call("folder", server=script(cwd="${env.PLACE}"), environ={"PLACE": str(tmp_path)}).text == str(tmp_path)


def test_a_reference_in_arguments_is_replaced_and_any_other_dollar_is_left() -> None:
    server = {"command": "sh", "args": ("-c", 'exec "${env.PYTHON}" "$0"', SCRIPT)}
    assert call("count", server=server, environ={"PYTHON": sys.executable}).text == "1"


# --- servers that do not start --------------------------------------------------------------------------------------


def test_a_command_that_is_not_there_is_named() -> None:
    assert "needs the command 'no-such-command', which is not installed" in failure({"command": "no-such-command"})


def test_what_is_missing_is_named_as_the_file_has_it_and_not_by_the_value_of_a_variable() -> None:
    environ = {"PROGRAM": "v3ry-s3cret", "FOLDER": "/v3ry-s3cret"}
    reason = failure({"command": "${env.PROGRAM}"}, environ=environ)
    assert "needs the command '${env.PROGRAM}'" in reason
    assert "v3ry" not in reason
    reason = failure(script(cwd="${env.FOLDER}/x"), environ=environ)
    assert "is to start in `${env.FOLDER}/x`, which is not a folder" in reason
    assert "v3ry" not in reason


def test_a_variable_that_is_not_set_is_named_with_its_place() -> None:
    reason = failure(script(env={"A": "${env.NOT_SET_ANYWHERE}"}))
    assert reason.startswith("The environment variable NOT_SET_ANYWHERE is not set.")
    assert "stands in `env`" in reason


def test_a_program_that_is_no_server_fails_the_start_with_what_it_said() -> None:
    reason = failure({"command": "sh", "args": ("-c", "echo usage: >&2; echo wrong; exit 2")})
    assert "did not start. It ended with exit status 2. Its last words on standard error: usage: wrong" in reason


def test_a_program_that_floods_its_output_fails_the_start_at_once() -> None:
    reason = failure({"command": "yes", "args": ("no message " * 100,)})
    assert "It writes other things than messages of the protocol to its standard output." in reason


def test_a_server_that_says_nothing_fails_the_start_when_its_time_is_up() -> None:
    reason = failure(script("--deaf"), startup_timeout=0.5)
    assert "was not ready after 0.5 s." in reason
    assert "Give it more time with `startup_timeout`" in reason


def test_a_server_that_ends_at_a_greeting_that_it_does_not_know_is_greeted_the_old_way() -> None:
    assert call("count", server=script("--strict")).text == "1"


def test_a_server_without_tools_fails_the_start() -> None:
    assert "has no tools" in failure(script("--no-tools"))


def test_one_server_that_does_not_start_ends_those_that_did() -> None:
    async def main() -> None:
        good = McpToolset(working_directory=Path.cwd(), environ=os.environ, server=script())
        bad = McpToolset(working_directory=Path.cwd(), environ=os.environ, server={"command": "false"})
        box = ToolBox([good, bad])
        try:
            await box.open()
        finally:
            await box.close()

    with pytest.raises(ToolsetError, match="false did not start"):
        asyncio.run(main())


# --- servers that end, or hang, in the middle -----------------------------------------------------------------------


def test_a_server_that_dies_in_a_call_is_an_error_that_says_how_and_the_next_call_starts_it_again() -> None:
    async def work(box: ToolBox) -> list[ToolAnswer]:
        return [await box.call("die", ""), await box.call("count", ""), await box.call("count", "")]

    died, first, second = run(work)
    assert died.is_error
    assert "was lost during the call. It was ended by SIGKILL." in died.text
    assert "Its last words on standard error: the last words of the server" in died.text
    assert first.text.startswith("[The connection to the MCP server was lost and made anew;")
    assert first.text.endswith("\n\n1")
    assert second == ToolAnswer("2")


def test_a_server_that_was_killed_between_two_calls_is_started_again() -> None:
    async def work(box: ToolBox) -> ToolAnswer:
        pid = int((await box.call("pid", "")).text)
        os.kill(pid, signal.SIGKILL)
        while not is_gone(pid):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.005)
        return await box.call("count", "")

    answer = run(work)
    assert not answer.is_error or "was lost during the call" in answer.text  # whether the end was seen yet is open


def test_a_server_that_dies_every_time_is_not_started_for_ever() -> None:
    async def work(box: ToolBox) -> list[str]:
        return [(await box.call("die", "")).text for _ in range(8)]

    answers = run(work)
    assert all("was lost during the call" in answer for answer in answers[:6])
    assert "was lost 6 times in a row and is not made again" in answers[6]
    assert answers[7] == answers[6]


def test_calls_at_the_same_time_are_all_answered_when_the_server_dies() -> None:
    async def work(box: ToolBox) -> list[ToolAnswer]:
        return await asyncio.gather(*(box.call(name, "") for name in ("die", "count", "count")))

    assert all("was lost" in answer.text and answer.is_error for answer in run(work))


def test_a_call_without_an_answer_ends_when_its_time_is_up() -> None:
    answer = call("hang", timeout=0.3)
    assert answer.is_error
    assert "did not answer in 0.3 s. What the call has done is unknown." in answer.text


def test_a_call_that_is_cancelled_leaves_no_server_behind() -> None:
    async def main() -> None:
        async with opened(script()) as box:
            calling = asyncio.create_task(box.call("hang", ""))
            await asyncio.sleep(0)
            calling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await calling

    asyncio.run(main())


def test_a_server_that_does_not_want_to_leave_is_killed() -> None:
    assert call("count", server=script("--stubborn")).text == "1"


def test_an_opening_that_is_cancelled_leaves_no_server_behind() -> None:
    async def main() -> None:
        toolset = McpToolset(working_directory=Path.cwd(), environ=os.environ, server=script("--deaf"))
        opening = asyncio.create_task(toolset.open())
        await asyncio.sleep(0.2)
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await opening
        await toolset.close()

    asyncio.run(main())
