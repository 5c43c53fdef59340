"""What a node says of its memory, that of the machine or of the container around it; and how it keeps some free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from subactors.runtime.nodes import guard
from subactors.runtime.nodes.guard import Largest, MemoryGuard
from subactors.runtime.nodes.memory import Memory, memory_of_this_machine
from subactors.runtime.nodes.messages import Evicted

MACHINE = "MemTotal:       1000 kB\nMemFree: 100 kB\nMemAvailable:    600 kB\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    file = tmp_path / "meminfo"
    file.write_text(MACHINE)
    return file


def group(folder: Path, limit: str, used: int, inactive: int = 0) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")
    return folder


def test_without_a_container_it_is_the_machines(machine: Path, tmp_path: Path) -> None:
    assert memory_of_this_machine(tmp_path, machine) == (1_024_000, 614_400)


def test_a_container_without_a_limit_has_the_machines(machine: Path, tmp_path: Path) -> None:
    assert memory_of_this_machine(group(tmp_path, "max", 5), machine) == (1_024_000, 614_400)


def test_a_container_has_what_its_limit_leaves_and_what_is_only_kept_of_files(machine: Path, tmp_path: Path) -> None:
    assert memory_of_this_machine(group(tmp_path, "500000", 400_000, 50_000), machine) == (500_000, 150_000)


def test_a_container_has_no_more_left_than_the_machine(machine: Path, tmp_path: Path) -> None:
    assert memory_of_this_machine(group(tmp_path, "1000000", 1), machine) == (1_000_000, 614_400)


def test_the_largest_task_is_ended_before_the_host_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "memory_of_this_machine", lambda: Memory(1000, 10))
    done: list[object] = []

    class Process:
        host_key = 7

        def kill(self) -> None:
            done.append("killed")

    def later(seconds: float, _: Callable[[], None]) -> None:
        done.append(seconds)

    largest = Largest(Process(), 900)  # type: ignore[arg-type]
    MemoryGuard(0.1, largest=lambda: largest, tell=done.append, call_later=later).look(lambda: True)

    killed, told, pause = done
    assert killed == "killed"
    assert isinstance(told, Evicted)
    assert (told.key, pause) == (7, guard._AFTER_EVICTION)


def test_nothing_is_ended_while_there_is_memory_or_where_none_is_kept_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "memory_of_this_machine", lambda: Memory(1000, 500))
    looks: list[float] = []

    def largest() -> Largest | None:
        raise AssertionError("nothing is to be ended")

    for keeps_free in (0.1, 0.0):
        MemoryGuard(
            keeps_free, largest=largest, tell=lambda _: None, call_later=lambda seconds, _: looks.append(seconds)
        ).look(lambda: True)

    assert looks == [guard._EVERY]
