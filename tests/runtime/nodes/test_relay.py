"""Relays: what goes through a line with TLS comes whole, in its order and to its end."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority, needs_openssl
from relay_lines import PATIENCE, Line, everything, in_thread, opened
from subactors.runtime.nodes.tls_files import TlsFiles

pytestmark = [needs_openssl, pytest.mark.timeout(120)]

LARGE = os.urandom(1 << 20) * 24


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return Authority(tmp_path_factory.mktemp("certificates")).files("machine", "127.0.0.1")


@pytest.fixture
def line(files: TlsFiles) -> Iterator[Line]:
    with opened(files) as line:
        yield line


# --- what goes through -----------------------------------------------------------------------------------------------


def test_both_ends_say_much_at_once_and_all_of_it_comes_in_its_order(line: Line) -> None:
    ours, theirs = line.connect()

    def say(end: socket.socket, what: bytes) -> None:
        end.sendall(what)
        end.shutdown(socket.SHUT_WR)

    there = in_thread(lambda: say(theirs, LARGE[::-1]))
    here = in_thread(lambda: say(ours, LARGE))
    heard: list[bytes] = []
    reads = in_thread(lambda: heard.append(everything(theirs.dup())))
    answer = everything(ours.dup())
    for thread in (there, here, reads):
        thread.join()
    ours.close()
    theirs.close()

    assert answer == LARGE[::-1]
    assert heard == [LARGE]


def test_an_end_that_says_nothing_more_is_told_so_and_still_gets_an_answer(line: Line) -> None:
    ours, theirs = line.connect()
    ours.sendall(b"a question")
    ours.shutdown(socket.SHUT_WR)
    question = everything(theirs.dup())
    answers = in_thread(lambda: (theirs.sendall(LARGE), theirs.close()))
    answer = everything(ours)
    answers.join()

    assert question == b"a question"
    assert answer == LARGE


def test_last_words_come_whole_from_one_who_has_closed_while_the_other_speaks_on(line: Line) -> None:
    ours, theirs = line.connect()
    ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):  # more than is read there
        while True:
            ours.send(b"unread" * 1000)
    ours.settimeout(PATIENCE)
    closes = in_thread(lambda: (theirs.sendall(LARGE), theirs.close()))
    last_words = everything(ours)
    closes.join()

    assert last_words == LARGE


def test_one_who_does_not_read_holds_up_the_other_and_loses_nothing(line: Line) -> None:
    ours, theirs = line.connect()
    theirs.setblocking(False)
    taken = 0
    said = 0
    is_full = threading.Event()

    def say() -> None:
        nonlocal taken, said
        theirs.settimeout(1.0)
        view = memoryview(LARGE * 4)
        with contextlib.suppress(TimeoutError):
            while taken < len(view):
                taken += theirs.send(view[taken:])
        said = taken
        is_full.set()
        theirs.settimeout(PATIENCE)
        theirs.sendall(view[taken:])
        theirs.close()

    says = in_thread(say)
    assert is_full.wait(PATIENCE)
    heard = everything(ours)
    says.join()

    assert 0 < said < len(LARGE) * 2, "what nobody reads is held somewhere"
    assert heard == LARGE * 4


def test_many_go_through_beside_one_who_does_not_read(line: Line) -> None:
    floods = line.connect()
    floods[1].setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            floods[1].send(LARGE)
    answers = []
    for number in range(50):
        ours, theirs = line.connect()
        ours.sendall(b"%d" % number)
        answers.append(theirs.recv(10))
        ours.close()
        theirs.close()
    for end in floods:
        end.close()

    assert answers == [b"%d" % number for number in range(50)]


def test_more_go_through_than_a_process_has_descriptors_at_first(files: TlsFiles) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        opening = opened(files)
        line = opening.__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as closing:
        closing.push(opening.__exit__)
        pairs = [line.connect() for _ in range(60)]
        for ours, theirs in pairs:
            closing.enter_context(ours)
            closing.enter_context(theirs)
            ours.sendall(b"here")

        assert [theirs.recv(4) for _, theirs in pairs] == [b"here"] * 60


# --- ends ------------------------------------------------------------------------------------------------------------


def test_a_relay_that_is_killed_ends_its_connections_at_both_ends(line: Line) -> None:
    ours, theirs = line.connect()
    ours.sendall(b"here")
    assert theirs.recv(10) == b"here"
    os.kill(line.host.pid, signal.SIGKILL)

    assert everything(ours) == everything(theirs) == b""


def test_a_relay_delivers_what_it_has_before_it_ends_and_leaves_no_file(files: TlsFiles) -> None:
    with opened(files) as line:
        socket_file = Path(line.path)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (socket_file, socket_file.parent)]
        ours, theirs = line.connect()
        ours.sendall(b"word" * 25_000)
        ours.close()
        line.host.close()

        assert everything(theirs) == b"word" * 25_000
    assert modes == [0o600, 0o700]
    assert not socket_file.parent.exists()
