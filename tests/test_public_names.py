"""What the packages offer: their public names."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest
from sources import parsed

# --- what it offers -------------------------------------------------------------------------------------------------

PACKAGES = ["subactors.actors", "subactors.runtime"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_once(name: str) -> None:
    package = importlib.import_module(name)

    assert [public for public in package.__all__ if not hasattr(package, public)] == []
    assert len(set(package.__all__)) == len(package.__all__)


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_there_without_an_underscore_is_public(name: str) -> None:
    package = importlib.import_module(name)

    there = {
        attribute
        for attribute, value in vars(package).items()
        if not attribute.startswith("_") and not isinstance(value, ModuleType)
    }
    assert there - set(package.__all__) - {"TYPE_CHECKING"} == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_the_module_of_each_public_name_offers_it(name: str) -> None:
    homes: dict[str, str] = importlib.import_module(name)._HOMES

    assert [
        (public, module)
        for public, module in homes.items()
        if public not in importlib.import_module(f".{module}", name).__all__
    ] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_are_told_the_same_names_of_the_same_modules(name: str) -> None:
    package = importlib.import_module(name)
    source = Path(str(package.__file__)).read_text(encoding="utf-8")
    told = [
        (f"{'.' * (node.level - 1)}{node.module}", alias.name, alias.asname)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    ]

    assert [*package._HOMES.items()] == [(public, module) for module, public, _ in told]
    assert [public for _, public, shown in told if shown != public] == []


def test_every_error_of_the_runtime_and_every_event_is_public() -> None:
    runtime = importlib.import_module("subactors.runtime")
    errors = importlib.import_module("subactors.runtime.errors")
    events = importlib.import_module("subactors.runtime.tasks.events")

    assert set(errors.__all__) - set(runtime.__all__) == set()
    assert set(events.__all__) - set(runtime.__all__) == set()
    assert all(issubclass(getattr(errors, name), runtime.SubactorsError) for name in {*errors.__all__} - {"Problem"})


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    runtime = importlib.import_module("subactors.runtime")

    with pytest.raises(AttributeError, match="no attribute 'Runtim'"):
        _ = runtime.Runtim
    assert runtime.OrchestratorTools.__name__ == "OrchestratorTools"


ALIASES = {("datetime", "dt"), ("Set", "AbstractSet"), ("process", "_executors")}
"""Usual ones, and one that no linter takes for unused."""


def test_nothing_is_imported_under_another_name_because_its_own_is_taken() -> None:
    root = Path(__file__).parents[1]
    renamed = {
        (alias.name, alias.asname)
        for _, nodes in parsed(
            *(root / top for top in ("actors", "runtime", "benchmarks", "examples")),
            words=r"^ *(from|import) .* as |^ +\w+ as \w+,$",
        )
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname not in (None, alias.name)
    }

    assert renamed - ALIASES == set()
