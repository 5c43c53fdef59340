"""What the packages offer: their public names."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

# --- what it offers -------------------------------------------------------------------------------------------------

PACKAGES = ["subactors.actors", "subactors.runtime"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_in_order(name: str) -> None:
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
    assert there - set(package.__all__) - {"annotations", "TYPE_CHECKING", "Any"} == set()


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
