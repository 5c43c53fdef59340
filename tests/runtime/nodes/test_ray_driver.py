"""What a host does with a Ray driver that does not do its part. No Ray is needed."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stubborn_driver
from processes_and_waits import children_of, wait_until
from subactors.runtime.nodes import ray
from subactors.runtime.nodes.ray import RayLauncher
from subactors.runtime.team.places import RayPlace, Resources

ORDERS = 5000
"""More than a pipe has room for."""


@pytest.fixture
def troubles(monkeypatch: pytest.MonkeyPatch) -> queue.SimpleQueue[str]:
    """What is wrong with the place, as the host is told; its driver is a stubborn one."""
    monkeypatch.setattr(ray, "_DRIVER", stubborn_driver.__name__)
    monkeypatch.setattr(ray, "_SILENCE", 1.0)
    monkeypatch.setattr(ray, "_AGAIN", 0.1)
    monkeypatch.setattr(ray, "_END", 0.2)
    monkeypatch.setenv("PYTHONPATH", str(Path(stubborn_driver.__file__).parent))
    return queue.SimpleQueue()


@pytest.fixture
def launcher(troubles: queue.SimpleQueue[str], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RayLauncher]:
    before = children_of(os.getpid())
    launcher = RayLauncher(RayPlace(name="lab", address=request.param), (), tmp_path)
    launcher.begin(_ignore, _ignore, lambda sentence, _: troubles.put(sentence), _ignore, _ignore)
    wait_until(lambda: children_of(os.getpid()) != before, "there is a driver")
    yield launcher
    launcher.close()


def _ignore(*_: Any) -> None:
    pass


@pytest.mark.parametrize("launcher", ["deaf"], indirect=True)
def test_a_driver_that_does_not_read_holds_up_nobody_who_tells_it_something(launcher: RayLauncher) -> None:
    keys = [launcher.book(Resources(cpu=1), (), _ignore, _ignore) for _ in range(ORDERS)]
    for key in keys:
        launcher.unbook(key)
    launcher.release("first")


@pytest.mark.parametrize("launcher", ["mute"], indirect=True)
def test_a_driver_that_says_nothing_is_ended_in_words_and_another_takes_its_place(
    launcher: RayLauncher, troubles: queue.SimpleQueue[str]
) -> None:
    first = children_of(os.getpid())
    for _ in range(ORDERS):
        launcher.release("first")

    assert troubles.get(timeout=30) == "Ray's driver was ended, as it had said nothing for 1 s."
    wait_until(lambda: set(children_of(os.getpid())) - set(first), "another has begun")
