"""Sockets that agents have left which were killed: those that nobody needs go, and nothing else."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from subactors.runtime.nodes.left_sockets import remove_left_sockets

OWN = "subactors-" + "0" * 16


@pytest.fixture
def around() -> Iterator[Path]:
    """Where agents have their folders; its name is short enough for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def left(around: Path, name: str, *, age: float = 3600.0) -> Path:
    """Leave what an agent leaves that is killed."""
    folder = around / name
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent"))
    grow_old(folder, age)
    return folder


def grow_old(folder: Path, age: float = 3600.0) -> None:
    then = folder.stat().st_mtime - age
    os.utime(folder, (then, then))


def test_what_a_killed_agent_has_left_is_removed_by_the_next(around: Path) -> None:
    folders = [left(around, f"subactors-{number:016x}") for number in range(1, 4)]
    remove_left_sockets(around / OWN)

    assert not any(folder.exists() for folder in folders)


def test_a_socket_that_somebody_listens_on_stays(around: Path) -> None:
    folder = around / ("subactors-" + "1" * 16)
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent"))
        listener.listen(1)
        grow_old(folder)
        remove_left_sockets(around / OWN)

        assert (folder / "agent").exists()


def test_what_is_not_exactly_that_stays(around: Path) -> None:
    young = left(around, "subactors-" + "1" * 16, age=0.0)
    open_to_others = left(around, "subactors-" + "2" * 16)
    open_to_others.chmod(0o755)
    with_more = left(around, "subactors-" + "3" * 16)
    (with_more / "more").touch()
    grow_old(with_more)
    other_name = left(around, "subactors-work")
    no_socket = around / ("subactors-" + "4" * 16)
    no_socket.mkdir(mode=0o700)
    (no_socket / "agent").touch()
    grow_old(no_socket)
    behind_link = left(around, "elsewhere")
    (around / ("subactors-" + "5" * 16)).symlink_to(behind_link)
    link_to_socket = around / ("subactors-" + "6" * 16)
    link_to_socket.mkdir(mode=0o700)
    (link_to_socket / "agent").symlink_to(behind_link / "agent")
    grow_old(link_to_socket)
    before = sorted(around.rglob("*"))
    remove_left_sockets(around / OWN)

    assert sorted(around.rglob("*")) == before
    assert {young, open_to_others, with_more, other_name} <= set(before)


def test_under_another_name_than_that_of_agents_nothing_is_removed(around: Path) -> None:
    folder = left(around, "subactors-" + "1" * 16)
    remove_left_sockets(around / "new")

    assert folder.exists()
