"""For tests of the `multiprocessing` context: what that module starts once is there before a test counts anything."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from multiprocessing import resource_tracker, sharedctypes

import pytest
from subactors.actors import ProcessSystem, ZygoteContext, get_context


@pytest.fixture(scope="module", autouse=True)
def _what_stays(_running_system: ProcessSystem) -> Iterator[None]:
    """The resource tracker, the memory in which values are, and what the zygote imports with its first process.

    The tracker is a child of this process. It is ended behind the module, as tests of others count all children.
    """
    process = get_context(_running_system).Process(target=int)
    process.start()
    process.join()
    value = sharedctypes.RawValue("i", 0)
    yield
    del value, process
    gc.collect()  # locks say that they are gone
    resource_tracker._resource_tracker._stop()


@pytest.fixture
def context(system: ProcessSystem) -> ZygoteContext:
    return get_context(system)
