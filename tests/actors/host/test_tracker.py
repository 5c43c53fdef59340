"""The pipes by which an actor asks for a resource tracker: what else it may name is not even opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import descriptors
from subactors.actors.child import tracker
from subactors.actors.host.tracker import _open_pipe
from subactors.actors.wire.messages import TrackerWanted


@contextmanager
def _named(kind: str, folder: Path) -> Iterator[int]:
    """Yield a descriptor of something that is not a pipe of an actor's own, as `os.pipe` makes one."""
    path = folder / "pipe:[1]"
    if kind == "socket":
        with socket.socket() as listening:
            yield listening.fileno()
        return
    if kind == "FIFO":
        os.mkfifo(path)
    descriptor = os.open("/dev/null" if kind == "device" else path, os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("kind", ["FIFO", "file", "socket", "device"])
def test_what_is_not_a_pipe_is_not_opened(tmp_path: Path, kind: str) -> None:
    with _named(kind, tmp_path) as descriptor, ExitStack() as opened:
        assert _open_pipe(os.getpid(), descriptor, os.O_WRONLY, opened) is None


def test_a_pipe_is_opened_for_as_long_as_it_is_needed() -> None:
    reader, writer = os.pipe()
    before = descriptors()
    with ExitStack() as opened:
        another = _open_pipe(os.getpid(), writer, os.O_WRONLY, opened)
        assert another is not None
        os.write(another, b"over it")
        assert os.read(reader, 100) == b"over it"
    assert descriptors() == before
    os.close(reader)
    os.close(writer)


class _Silent:
    """A channel to a host that does not answer in time."""

    def send(self, message: TrackerWanted) -> None:
        self.wanted = message


def test_pipes_that_the_host_may_still_come_to_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "_PATIENCE", 0)
    before = set(descriptors())
    channel: Any = _Silent()

    assert tracker._ask(channel) is None

    left = set(descriptors()) - before
    assert {channel.wanted.reader, channel.wanted.answer} < left
    for descriptor in left:
        os.close(descriptor)
