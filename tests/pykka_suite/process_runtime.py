"""A pytest plugin: runs pykka's suite with processes as its only runtime.

The suite hands events and futures to its actors, to be set there and looked at in the test. Those here travel to the
other process: they are polled files, as nothing that is tested depends on their speed.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pykka
import pytest
from expected_failures import EXPECTED_FAILURES
from subactors.actors import ProcessActor

__all__ = ["FileEvent", "TravellingFuture", "pytest_collection_modifyitems", "pytest_generate_tests"]

_POLL = 0.002
"""Seconds between two looks at a file."""


class FileEvent:
    """A `threading.Event` that is the same in every process that it is sent to."""

    def __init__(self) -> None:
        self._file = _new_path()

    def is_set(self) -> bool:
        return self._file.exists()

    def set(self) -> None:
        self._file.touch()

    def clear(self) -> None:
        self._file.unlink(missing_ok=True)

    def wait(self, timeout: float | None = None) -> bool:
        return _wait(self.is_set, timeout)


class TravellingFuture(pykka.ThreadingFuture[Any]):
    """A future whose copies in other processes set it here. What crosses is the text of a literal, never a pickle."""

    def __init__(self) -> None:
        super().__init__()
        self._file: Path | None = None

    def __reduce__(self) -> tuple[type[_Setter], tuple[Path]]:
        self._file = _new_path()
        return _Setter, (self._file,)

    def get(self, *, timeout: float | None = None) -> Any:
        if self._file is not None:
            if not _wait(self._file.exists, timeout):
                raise pykka.Timeout(f"{timeout} seconds")
            self.set(ast.literal_eval(self._file.read_text()))
            self._file = None
        return super().get(timeout=timeout)


class _Setter:
    """What a travelling future is in another process."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def set(self, value: Any = None) -> None:
        unfinished = self._file.with_suffix(".unfinished")
        unfinished.write_text(repr(value))
        unfinished.rename(self._file)


def _new_path() -> Path:
    return Path(tempfile.mkdtemp()) / "set"


def _wait(condition: Callable[[], bool], timeout: float | None) -> bool:
    deadline = None if timeout is None else time.monotonic() + timeout
    while not condition():
        if deadline is not None and time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put the process runtime in the place of those that the suite's `runtime` fixture has."""
    if "runtime" in metafunc.fixturenames:
        # Pykka's own, which can be imported only while its suite is being collected.
        runtime = importlib.import_module("tests.types").Runtime(
            name="process",
            actor_class=ProcessActor,
            event_class=FileEvent,
            future_class=TravellingFuture,
            sleep_func=time.sleep,
        )
        metafunc.definition.add_marker(
            pytest.mark.parametrize("runtime", [runtime], ids=["process"], scope="session"), append=False
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the cases that have a runtime, and mark those that are expected to fail."""
    selected = [item for item in items if isinstance(item, pytest.Function) and "runtime" in item.fixturenames]
    config.hook.pytest_deselected(items=[item for item in items if item not in selected])
    items[:] = selected
    reasons = {name: reason for reason, names in EXPECTED_FAILURES.items() for name in names}
    for item in items:
        with contextlib.suppress(KeyError):
            item.add_marker(pytest.mark.xfail(reason=reasons.pop(item.nodeid.removeprefix("tests/"))))
    if reasons:
        raise pytest.UsageError(f"This pykka has no such tests; expected_failures.py is out of date: {list(reasons)}")
