"""What an MCP server is given as a secret is hidden in all that the model sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mcp_toolset_calls import call, failure, run, script
from subactors.runtime.team.mcp_definition import McpDefinition
from subactors.runtime.toolsets.base import ToolBox


def test_a_secret_is_hidden_in_what_the_server_answers() -> None:
    server = script(env={"GREETING": "hello", "API_TOKEN": "${env.MINE}"})
    environ = {"MINE": "s3cret-value"}
    assert call("environment", {"name": "API_TOKEN"}, server=server, environ=environ).text == "***"
    assert call("environment", {"name": "GREETING"}, server=server, environ=environ).text == "hello"


def test_a_secret_with_quotes_is_hidden_where_it_is_written_as_json() -> None:
    secret = 'a "quoted" \\ secret'  # noqa: S105 - of a test
    server = script(env={"API_KEY": "${env.MINE}"})
    assert call("echo", {"text": secret}, server=server, environ={"MINE": secret}).text == '{"text": "***"}'


def test_a_secret_is_hidden_in_what_the_server_says_of_itself_and_of_its_tools() -> None:
    async def work(box: ToolBox) -> str:
        return str(box.schemas) + str(box.instructions)

    secret = "Ask.for.one-thing-4711"  # noqa: S105 - of a test
    said = run(work, script("--quote", env={"API_KEY": secret}))
    assert secret not in said
    assert "Does ***" in said
    assert "I know ***" in said
    assert quote(secret, safe="") not in said


def test_a_secret_is_hidden_in_the_name_and_the_schema_of_a_tool_which_can_be_called_all_the_same() -> None:
    async def work(box: ToolBox) -> tuple[dict[str, Any], str]:
        schema = box.schemas[-1]["function"]
        return schema, (await box.call(schema["name"], json.dumps({"text": "hello"}))).text

    server = script("--quote", env={"API_KEY": "s3cret/value 4711"})
    schema, answer = run(work, server)
    assert schema["name"] == "say____"
    assert schema["description"] == "***"
    text = {"type": "string", "description": "Not ***", "enum": ["***"], "default": "***"}
    assert schema["parameters"]["properties"] == {"text": text}
    assert json.loads(answer) == {"text": "hello"}


def test_a_secret_is_hidden_where_the_tools_of_a_server_are_listed() -> None:
    reason = failure(script("--quote", env={"API_KEY": "s3cret-value-4711"}), tools=["no_such_tool"])
    assert "has no tool 'no_such_tool'" in reason
    assert "say_***" in reason
    assert "4711" not in reason


@pytest.mark.parametrize(
    ("env", "environ", "said"),
    [
        ({"PLAIN": "${env.MY_TOKEN}"}, {"MY_TOKEN": "s3cret-value"}, "***"),
        ({"DATABASE": "postgres://me:s3cret-value@host/db"}, {}, "postgres://me:***@host/db"),
        ({"DATABASE": "$DB"}, {"DB": "postgres://me:s3cret-value@host/db"}, "postgres://me:***@host/db"),
        ({"GREETING": "$WORDS"}, {"WORDS": "a long greeting"}, "a long greeting"),
    ],
)
def test_what_a_server_is_given_is_a_secret_by_its_names_or_as_a_password(
    env: dict[str, str], environ: dict[str, str], said: str
) -> None:
    (name,) = env
    assert call("environment", {"name": name}, server=script(env=env), environ=environ).text == said


@pytest.mark.parametrize("options", [("--token", "s3cret-value-4711"), ("--api-key=s3cret-value-4711",)])
def test_a_secret_among_the_arguments_is_hidden_in_answers_and_in_what_the_server_is_called(
    options: tuple[str, ...],
) -> None:
    server = script(*options)
    assert call("echo", {"text": "I have s3cret-value-4711"}, server=server).text == '{"text": "I have ***"}'
    title = McpDefinition(**server).title
    assert "4711" not in title
    assert "***" in title


def test_an_argument_after_a_program_with_a_telling_name_is_no_secret() -> None:
    server = script("server-auth", "/folder/of-much.data")
    assert call("echo", {"text": "/folder/of-much.data"}, server=server).text == '{"text": "/folder/of-much.data"}'
    assert McpDefinition(**server).title.endswith("server-auth /folder/of-much.data")


def test_a_token_in_the_address_of_a_server_is_a_secret() -> None:
    server = McpDefinition(url="https://host/mcp?region=northern-europe&access_token=s3cret%2Fvalue-4711")
    assert server.resolve({}, Path()).secrets == ("s3cret/value-4711",)


def test_a_secret_is_hidden_in_why_a_server_does_not_start() -> None:
    server = {"command": "sh", "args": ("-c", "echo no $API_KEY >&2; exit 3"), "env": {"API_KEY": "s3cret-value"}}
    reason = failure(server)
    assert "It ended with exit status 3. Its last words on standard error: no ***" in reason
    assert "s3cret" not in reason
