"""Answers of MCP servers that break the schemas they declared, or the protocol: what was said reaches the model."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mcp_server_careless import ANSWERS, OverHttp
from subactors.runtime import ToolAnswer
from subactors.runtime.errors import ToolsetError
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.mcp.toolset import McpToolset

SCRIPT = str(Path(__file__).parents[3] / "kit" / "mcp_server_careless.py")


class Careless:
    """A toolset of the server, in an event loop of its own."""

    def __init__(self, url: str = "") -> None:
        self._loop = asyncio.new_event_loop()
        server: dict[str, Any] = {"command": sys.executable, "args": (SCRIPT,), "env": {"API_KEY": "s3cret-value"}}
        server = {"url": url} if url else server
        self._box = ToolBox([McpToolset(working_directory=Path.cwd(), environ=os.environ, server=server, timeout=30.0)])
        try:
            self._loop.run_until_complete(self._box.open())
        except ToolsetError:
            self.close()
            raise

    def call(self, tool: str) -> ToolAnswer:
        return self._loop.run_until_complete(self._box.call(tool, "{}"))

    @property
    def schemas(self) -> list[dict[str, Any]]:
        return self._box.schemas

    def close(self) -> None:
        self._loop.run_until_complete(self._box.close())
        self._loop.close()


@pytest.fixture
def careless() -> Iterator[Careless]:
    server = Careless()
    yield server
    server.close()


@contextlib.contextmanager
def served(handler: type[OverHttp]) -> Iterator[str]:
    """Serve over HTTP and yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        serving = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{http_server.server_address[1]}/mcp"
        finally:
            http_server.shutdown()
            serving.join()


def test_over_http_answers_are_taken_as_they_are_from_a_pipe() -> None:
    with served(OverHttp) as url:
        over_http, over_pipe = Careless(url), Careless()
        try:
            for tool in ANSWERS.keys() - {"bare_text", "secretive"}:
                assert over_http.call(tool) == over_pipe.call(tool)
        finally:
            over_http.close()
            over_pipe.close()


def _page(names: Sequence[str], cursor: str | None) -> dict[str, Any]:
    return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names], "nextCursor": cursor}


def listing(pages: Callable[[int], dict[str, Any]]) -> type[OverHttp]:
    """Return a handler that answers the first request for tools with `pages(0)`, and so on."""
    numbers = itertools.count()

    class InPages(OverHttp):
        def answer(self, message: dict[str, Any]) -> dict[str, Any]:
            reply = super().answer(message)
            return {**reply, "result": pages(next(numbers))} if message["method"] == "tools/list" else reply

    return InPages


@pytest.mark.parametrize("page", [{"tools": None, "nextCursor": None}, {"tools": []}, {}])
def test_a_server_that_lists_nothing_in_whatever_form_has_no_tools(page: dict[str, Any]) -> None:
    with served(listing(lambda _: page)) as url, pytest.raises(ToolsetError, match="has no tools"):
        Careless(url)


@pytest.mark.parametrize(
    ("pages", "names"),
    [
        (lambda _: _page("ab", "next"), ["a", "b"]),
        (lambda number: _page("ab", f"page {number}"), ["a", "b"]),
        (lambda number: _page(f"{number}", "next"), ["0", "1"]),
        (lambda number: _page(("ab", "", "bc", "d")[number], ("1", "2", "3", "")[number]), ["a", "b", "b_2", "c", "d"]),
        (lambda _: _page("a", ""), ["a"]),
        (lambda _: {**_page("a", ""), "nextCursor": 2}, ["a"]),
    ],
    ids=[
        "the same page",
        "other cursors",
        "the same cursor",
        "an empty page",
        "an empty cursor",
        "a cursor that is a number",
    ],
)
def test_a_list_of_tools_that_begins_anew_ends(pages: Callable[[int], dict[str, Any]], names: list[str]) -> None:
    with served(listing(pages)) as url:
        server = Careless(url)
        try:
            assert [schema["function"]["name"] for schema in server.schemas] == names
        finally:
            server.close()


@pytest.mark.parametrize("body", [b"{no JSON", b"", b'{"jsonrpc": "2.0", "secret": "s3cret-value"}', b"[]", b"\xff"])
def test_an_answer_that_is_no_message_is_a_short_reason_that_quotes_nothing(body: bytes) -> None:
    class Garbled(OverHttp):
        def do_POST(self) -> None:  # noqa: N802 - the name is the library's
            self._send(200, body)

    with served(Garbled) as url, pytest.raises(ToolsetError) as raised:
        Careless(url)
    reason = str(raised.value)
    assert reason.startswith(f"The MCP server {url} ")
    assert not any(word in reason for word in ("pydantic", "validation error", "input_value", "s3cret"))


def test_an_answer_that_keeps_to_its_schema_has_no_note(careless: Careless) -> None:
    assert careless.call("kept") == ToolAnswer("the text", {"data": "x"})
    assert careless.call("no_schema") == ToolAnswer("the text", {"data": "x"})
    assert careless.call("schema_of_a_list").text.startswith("the text")


@pytest.mark.parametrize("tool", ["text_only", "null_only"])
def test_text_without_the_structured_content_that_was_declared_is_used_with_a_note(
    careless: Careless, tool: str
) -> None:
    answer = careless.call(tool)
    assert answer.text.startswith("the text\n\n[Note on this answer of the MCP server: It lacks the structured content")
    assert not answer.is_error


@pytest.mark.parametrize(
    ("tool", "what"),
    [("other_type", "$.data: 5 is not of type 'string'"), ("lacking", "$: 'data' is a required property")],
)
def test_structured_content_of_another_shape_costs_no_text_and_is_no_data(
    careless: Careless, tool: str, what: str
) -> None:
    answer = careless.call(tool)
    assert answer.text.startswith("the text\n\n[Note on this answer")
    assert f"does not keep to the schema that the server has declared ({what})" in answer.text
    assert answer.data is None
    assert not answer.is_error


@pytest.mark.parametrize(
    ("tool", "text"),
    [
        ("list_for_object", "[1, 2]"),
        ("structured_only", '{"data": 5}'),
        ("image_and_other", '[An image (image/png, 3 bytes), which cannot be shown here.]\n\n{"other": "the other"}'),
    ],
)
def test_structured_content_of_another_shape_is_the_text_where_there_is_no_other(
    careless: Careless, tool: str, text: str
) -> None:
    answer = careless.call(tool)
    assert answer.text.startswith(f"{text}\n\n[Note on this answer")
    assert not answer.is_error


@pytest.mark.parametrize(
    "tool",
    ["invalid_schema", "schema_that_is_text", "schema_of_itself", "schema_elsewhere", "schema_with_bad_pattern"],
)
def test_a_schema_that_is_wrong_itself_costs_neither_the_tool_nor_its_answer(careless: Careless, tool: str) -> None:
    answer = careless.call(tool)
    assert answer.text.startswith("the text\n\n[Note on this answer")
    assert "The schema that the server has declared for it cannot be used" in answer.text
    assert not answer.is_error


def test_an_error_is_not_held_to_the_schema(careless: Careless) -> None:
    assert careless.call("error_of_its_own").text == "the text"
    assert careless.call("error_of_its_own").is_error
    assert careless.call("error_without_text").text == '{"error": "the reason"}'
    assert careless.call("error_without_text").is_error


@pytest.mark.parametrize("tool", ["error_that_is_text", "bare_text", "single_block"])
def test_content_that_is_no_list_is_an_error_that_shows_what_was_said(careless: Careless, tool: str) -> None:
    answer = careless.call(tool)
    assert answer.is_error
    assert answer.text.startswith(("the reason\n\n", "the text\n\n"))
    assert "could not be used as an answer" in answer.text


def test_content_of_an_unknown_kind_is_shown_as_it_came(careless: Careless) -> None:
    said = '[Content of a kind that is unknown here: {"type": "video", "url": "a.mp4"}]\n\nthe text'
    assert careless.call("unknown_block").text.startswith(said)
    assert careless.call("unknown_block_with_text").text.startswith("the text")
    assert careless.call("bare_block").text.startswith("the text")


def test_what_nobody_reads_of_a_block_may_be_wrong(careless: Careless) -> None:
    assert careless.call("annotated").text.startswith("the text")


def test_an_answer_without_content_says_so(careless: Careless) -> None:
    assert careless.call("no_content").text.startswith("(no output)\n\n[Note on this answer")


def test_a_note_shows_no_part_of_a_secret(careless: Careless) -> None:
    assert "s3c" not in careless.call("secretive").text


def test_a_list_of_tools_is_not_lost_for_what_nobody_reads_of_one(careless: Careless) -> None:
    first = careless.schemas[0]["function"]
    assert first == {
        "name": "kept",
        "description": "['a', 'list']",
        "parameters": {"type": "object", "properties": {}},
    }
