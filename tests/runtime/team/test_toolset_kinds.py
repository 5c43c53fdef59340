"""The rows of toolsets: what they name is there, and takes what they give it."""

from __future__ import annotations

import importlib
import inspect

import pytest
from subactors.runtime.team.toolset_kinds import TOOLSETS
from subactors.runtime.toolsets.base import Toolset


def _class_of(name: str) -> type[Toolset]:
    kind = TOOLSETS[name]
    found = getattr(importlib.import_module(f"subactors.runtime.toolsets.{kind.module}"), kind.factory)
    assert isinstance(found, type)
    assert issubclass(found, Toolset)
    return found


@pytest.mark.parametrize("name", TOOLSETS)
def test_a_toolset_takes_what_its_row_gives_it(name: str) -> None:
    kind = TOOLSETS[name]
    read_here = {key for key, reading in kind.options.items() if reading != "apart"} - kind.other_names.keys()

    assert {*kind.takes, *read_here} <= inspect.signature(_class_of(name)).parameters.keys()


@pytest.mark.parametrize("name", TOOLSETS)
def test_a_toolset_needs_nothing_that_neither_its_row_nor_its_entry_gives_it(name: str) -> None:
    kind = TOOLSETS[name]
    parameters = inspect.signature(_class_of(name)).parameters.values()
    needed = {parameter.name for parameter in parameters if parameter.default is parameter.empty}

    # The server of an MCP toolset is made of several keys.
    assert needed - {*kind.takes, *kind.options} == ({"server"} if name == "mcp" else set())
