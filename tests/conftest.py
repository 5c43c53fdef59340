"""For all tests: none may leave a process, a thread or a descriptor behind; and a process system to share."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
import zlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xdist.scheduler
from lent_zygotes import FOR_MCP, FOR_MODELS, FOR_TASKS, lent
from process_listeners import Started
from processes_and_waits import Holdings, Process
from ray_clusters import RayCluster, ray_cluster
from ssh_server import needs_sshd, ssh_place
from subactors.actors import ProcessActor, ProcessSystem
from subactors.runtime import host
from warm_commands import started

_PATIENCE = 5.0
"""Seconds for what a test has ended to be gone."""

_ALWAYS_ON_RAY = frozenset(
    f"test_{name}.py" for name in ("print", "talk_with_tasks", "task_endings", "task_ownership", "task_races")
)
"""Modules of which the tests at a place that is a Ray cluster always run; those of others are slow ones."""

_COLLECT_AFTER = 0.05
"""Seconds after which the garbage collector is asked to close what nobody refers to."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Leave what is collected out of the garbage collector's lists: it stays, and each look at it takes a while."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


class _Turned(pytest.Dir):
    """A folder whose tests a worker collects from its own place on: what one has compiled the others need not."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        worker = self.config.workerinput  # type: ignore[attr-defined]
        nodes = list(super().collect())
        first = len(nodes) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
        return nodes[first:] + nodes[:first]


class _ByFile(xdist.scheduler.LoadFileScheduling):
    """The tests of a file are one worker's; so are all those on Ray, whatever their files, to share one cluster."""

    def _split_scope(self, nodeid: str) -> str:
        is_on_ray = "[ray-" in nodeid or "[ray]" in nodeid or "/test_ray_" in nodeid
        return "ray" if is_on_ray else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile | None:
    return _ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return _Turned.from_parent(parent, path=path) if hasattr(parent.config, "workerinput") else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring them into the order that is every worker's, before fixtures that they share bring them closer together.

    Of slow tests only a share is left, if the environment names one: `2/2` is the second half.
    """
    items.sort(key=lambda item: item.path)
    number, _, of = os.environ.get("SUBACTORS_SLOW_SHARE", "1/1").partition("/")
    for item in items:
        place = _place_of(item)
        if (here := item.get_closest_marker("host_only")) and place not in {None, "host"}:
            item.add_marker(pytest.mark.skip(reason=f"On a node it cannot hold: {here.args[0]}."))
        if place == "ray" and item.path.name not in _ALWAYS_ON_RAY:
            item.add_marker(pytest.mark.slow)
    others = [item for item in items if item.get_closest_marker("slow") and _share(item, int(of)) != int(number) - 1]
    config.hook.pytest_deselected(items=others)
    left_out = set(others)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of what a helper skips with the helper's line: once at the end, for however many tests."""
    report = yield
    if report.skipped and call.excinfo is not None and isinstance(call.excinfo.value, pytest.skip.Exception):
        *_, helper, skips = call.excinfo.traceback
        if skips.path.name == "outcomes.py":  # `pytest.skip`, and not a mark
            report.longrepr = (str(helper.path), helper.lineno + 1, str(call.excinfo.value.msg))
    return report


def _place_of(item: pytest.Item) -> str | None:
    call = getattr(item, "callspec", None)
    return call.params.get("place") if call is not None else None


def _share(item: pytest.Item, of: int) -> int:
    return zlib.crc32(item.nodeid.encode()) % of


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = Holdings()
    yield
    started = time.monotonic()
    collected = False
    pause = 0.002
    while (left := _left_since(before)) and (waited := time.monotonic() - started) < _PATIENCE:
        if waited > _COLLECT_AFTER and not collected:
            gc.collect()
            collected = True
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    if left:
        _kill(before.new_processes())
        pytest.fail("The test left behind: " + "; ".join(left), pytrace=False)


def _left_since(before: Holdings) -> list[str]:
    return [
        *(f"process {process}" for process in before.new_processes()),
        *(f"thread {thread.name!r}" for thread in before.new_threads()),
        *(f"descriptor {number} ({what})" for number, what in sorted(before.new_descriptors().items())),
    ]


def _kill(processes: list[Process]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


@pytest.fixture(autouse=True, scope="session")
def _interrupts_are_heard() -> Iterator[None]:
    """Programs that tests start can be interrupted, even if a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runtimes of tests, and of the programs that tests start, keep nothing in the user's own state folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBACTORS_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _options_are_for_these_tests_alone() -> Iterator[None]:
    """A program that is tested, and runs pytest itself, does not get the options that were meant for this run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        yield


@pytest.fixture(scope="session")
def warm_commands() -> Iterator[None]:
    """Commands that `run_command` of `warm_commands` starts are forked, and need not import anything first."""
    with started():
        yield


@pytest.fixture(scope="session")
def ray_head() -> Iterator[RayCluster]:
    """A Ray cluster of one node. It takes many seconds to start, so all tests share it."""
    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(ray_head: RayCluster) -> RayCluster:
    """The same with a second node, to which tests may do something."""
    ray_head.has("second")
    return ray_head


@pytest.fixture(
    scope="module",
    params=[
        "host",
        pytest.param("ssh", marks=[needs_sshd, pytest.mark.slow]),
        "ray",  # see `_ALWAYS_ON_RAY`
    ],
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Where the tasks of a module run: settings of a runtime. A test that holds at one place holds at each."""
    if request.param == "host":
        yield {}
        return
    if request.param == "ray":
        cluster = request.getfixturevalue("ray_head")
        cluster.has()
        lab = cluster.place
        yield {"places": (lab,), "place": lab.name}
        return
    with ssh_place(tmp_path_factory.mktemp("ssh")) as lab:
        yield {"places": (lab,), "place": lab.name}


@pytest.fixture(scope="module")
def zygote_for_tasks() -> Iterator[None]:
    """Runtimes share a zygote, and need not start their own; see `lent_zygotes`."""
    with lent(FOR_TASKS):
        yield


@pytest.fixture(scope="module")
def zygote_for_models() -> Iterator[None]:
    """The same, with what asks a model over HTTP."""
    with lent(FOR_MODELS):
        yield


@pytest.fixture(scope="module")
def zygote_for_mcp() -> Iterator[None]:
    """The same, with what asks an MCP server."""
    with lent(FOR_MCP):
        yield


@pytest.fixture
def own_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtimes of one test start a zygote of their own, and end it as they close, whatever others of its file share."""
    monkeypatch.setattr(host, "ProcessSystem", ProcessSystem)


@pytest.fixture(scope="module")
def _running_system() -> Iterator[ProcessSystem]:
    """One zygote and one I/O thread for a module's tests, there before the first of them counts anything."""
    system = ProcessSystem()
    Started(system, ProcessActor).reference.stop()
    yield system
    system.close()


@pytest.fixture
def system(_running_system: ProcessSystem, monkeypatch: pytest.MonkeyPatch) -> ProcessSystem:
    """A process system that `ProcessActor.start` uses. Not to be closed, nor to have its zygote killed."""
    monkeypatch.setattr(ProcessActor, "system", _running_system)
    return _running_system


@pytest.fixture
def own_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessSystem]:
    """As `system`, for one test alone: with a zygote that may be killed."""
    system = ProcessSystem()
    monkeypatch.setattr(ProcessActor, "system", system)
    yield system
    system.close()
