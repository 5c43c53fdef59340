"""Proxies of actors in processes of their own: methods, attributes, and what they do not show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import pykka
import pytest
from answers_and_hooks import get
from processes_and_waits import wait_until
from proxied_actors import Greeter, Inside, SelfProxying
from subactors.actors import ProcessActor

pytestmark = pytest.mark.usefixtures("system")


def test_a_proxy_calls_methods() -> None:
    greeter = Greeter.start("Ann", mark="?").proxy()
    assert get(greeter.greet("Bob")) == "Ann greets Bob?"
    assert get(greeter.greet(whom="Cid")) == "Ann greets Cid?"
    greeter.stop()


def test_a_proxy_reads_attributes_of_class_constructor_and_on_start() -> None:
    greeter = Greeter.start("Ann").proxy()
    get(greeter.greet())
    assert [get(value) for value in (greeter.kind, greeter.name, greeter.started)] == ["greeter", "Ann", True]
    greeter.stop()


def test_a_proxy_made_early_sees_an_attribute_that_comes_late() -> None:
    greeter = Greeter.start("Ann").proxy()
    with pytest.raises(AttributeError, match="no attribute 'late'"):
        _ = greeter.late
    get(greeter.add_attribute())
    assert get(greeter.late) == "late"
    greeter.stop()


def test_a_proxy_sets_attributes() -> None:
    greeter = Greeter.start("Ann").proxy()
    greeter.name = "Bea"
    greeter.brand_new = 5
    assert get(greeter.greet()) == "Bea greets you!"
    assert get(greeter.brand_new) == 5
    greeter.stop()


def test_a_proxy_goes_into_traversable_attributes() -> None:
    greeter = Greeter.start("Ann").proxy()
    assert get(greeter.inside.double(21)) == 42
    assert get(greeter.inside.depth) == 1
    greeter.inside.depth = 2
    assert get(greeter.inside.depth) == 2
    greeter.stop()


def test_a_proxy_goes_into_traversable_attributes_of_the_class() -> None:
    class Sharing(ProcessActor):
        shared = pykka.traversable(Inside())

    actor = Sharing.start()
    assert get(actor.proxy().shared.double(21)) == 42
    actor.stop()


def test_nothing_of_an_actors_class_runs_in_the_host(tmp_path: Path) -> None:
    class Noting(ProcessActor):
        def __new__(cls, *_arguments: object) -> Self:
            with (tmp_path / "made").open("a") as file:
                file.write(f"{os.getpid()}\n")
            return super().__new__(cls)

        def pid(self) -> int:
            return os.getpid()

    actor = Noting.start()
    assert actor.actor_class is Noting
    pid = get(actor.proxy().pid())
    assert (tmp_path / "made").read_text() == f"{pid}\n"
    actor.stop()


def test_a_proxy_goes_into_an_attribute_that_contains_itself() -> None:
    class Knot:
        pykka_traversable = True

        def __init__(self) -> None:
            self.again = self
            self.tight = True

    class Knotted(ProcessActor):
        def __init__(self) -> None:
            super().__init__()
            self.knot = Knot()

    actor = Knotted.start()
    assert get(actor.proxy().knot.tight) is True
    actor.stop()


def test_a_proxy_does_not_show_private_attributes() -> None:
    greeter = Greeter.start("Ann").proxy()
    assert not hasattr(greeter, "_private")
    assert {"greet", "name", "inside", "kind"} <= set(dir(greeter))
    greeter.stop()


def test_a_proxy_tells_without_waiting() -> None:
    greeter = Greeter.start("Ann").proxy()
    greeter.add_attribute.defer()
    get(greeter.greet())
    assert get(greeter.late) == "late"
    greeter.stop()


def test_an_actor_defers_work_to_itself_through_a_proxy_that_it_keeps() -> None:
    actor = SelfProxying.start().proxy()
    get(actor.count_down(3))
    wait_until(lambda: get(actor.steps) == [3, 2, 1, 0], "it has counted down")
    actor.stop()


def test_an_actors_proxy_to_itself_is_no_attribute_for_others() -> None:
    actor = SelfProxying.start().proxy()
    get(actor.count_down(0))
    assert "steps" in dir(actor)
    for name in ("made_early", "made_on_start"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(actor, name)
    actor.stop()
