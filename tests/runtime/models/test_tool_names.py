from __future__ import annotations

import re

import pytest
from subactors.runtime.models.tool_names import plain_name


@pytest.mark.parametrize(
    "name",
    [
        "read_file",
        "functions.read_file",
        " read_file\n",
        "`read_file`",
        "read file",
        "read.file",
        "default_api.read_file",
        "read_file<|channel|>commentary",
        "commentary to=functions.read_file",
        "functions.read_file<|channel|>json",
        'read_file("a.txt")',
        "read_file\n<parameter=path>a.txt",
    ],
)
def test_a_name_in_a_models_own_spelling_is_understood(name: str) -> None:
    assert plain_name(name) == "read_file"


@pytest.mark.parametrize(
    "name", ["", " ", "<|", "ünï", "x" * 100_000, "a/b:c", "to=" * 400, "\ud800", "<tool_call>", "日本"]
)
def test_any_name_gets_a_form_that_servers_accept(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", plain_name(name))
    assert plain_name(plain_name(name)) == plain_name(name)


@pytest.mark.parametrize("name", ["functions", "my_functions_look", "tools", "x" * 64, "-", "7zip"])
def test_a_name_that_servers_accept_stays(name: str) -> None:
    assert plain_name(name) == name
