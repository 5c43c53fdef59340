"""What a node says of its memory: that of the machine, or of the container around it."""

from __future__ import annotations

from pathlib import Path

import pytest
from subactors.runtime.nodes.memory import memory_of_this_machine

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
