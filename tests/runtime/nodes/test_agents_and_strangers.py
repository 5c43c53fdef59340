"""What a node's agent says and does before its host has proven what it is, and how it says why it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from node_lines import PATIENCE, HostEnd, agent, place_of
from processes_and_waits import children_of, wait_until
from subactors.actors.host.versions import own_versions
from subactors.actors.wire.frames import encode_plain
from subactors.actors.wire.messages import Forked
from subactors.actors.wire.node import (
    Challenge,
    Control,
    Ended,
    Fetch,
    Known,
    Notice,
    Opening,
    Order,
    Parting,
    Proof,
    Serving,
    Setup,
    Taken,
    encode_node,
    proven,
)
from subactors.runtime import Runtime
from subactors.runtime.nodes.code_store import name_of
from subactors.runtime.nodes.launcher import NodeFound
from subactors.runtime.nodes.messages import CodeSent, CodeWanted, NodeSetup

MOST_AT_THE_DOOR = 64


def setup(folder: Path, **others: Any) -> Setup:
    pickled = b"\x80\x04}."  # an empty mapping
    given = {"run": "run_1", "folder": str(folder), "system": pickled, **others}
    return Setup(msgspec.msgpack.encode(NodeSetup(**given)))


def is_closed(end: HostEnd) -> bool:
    return end.next() is None


# --- who is let in --------------------------------------------------------------------------------------------------


def test_a_stranger_is_told_nothing_but_a_number_and_the_host_comes_in_all_the_same() -> None:
    with agent() as there, HostEnd(there) as stranger, HostEnd(there) as host:
        stranger.send(Control(b"n" * 32))
        challenge = stranger.next()
        stranger.send(Proof(b"p" * 32, lease=1e9), Setup(b""))

        assert msgspec.structs.asdict(challenge).keys() == {"nonce", "proof"}
        assert is_closed(stranger)
        assert host.shake_hands().versions == own_versions()


def test_a_stranger_who_says_only_hello_takes_nobodys_place() -> None:
    with agent() as there, HostEnd(there) as stranger, HostEnd(there) as host:
        stranger.send(Control(b"n" * 32))
        assert isinstance(stranger.next(), Challenge)

        host.shake_hands()


def test_a_second_host_is_refused_though_it_knows_the_token() -> None:
    with agent() as there, HostEnd(there) as host, HostEnd(there) as second:
        host.shake_hands()

        assert second.shake_hands() is None


@pytest.mark.parametrize(
    "changed", [{"directory": "/elsewhere"}, {"fenced": False}, {"label": "other"}, {"group": "/g"}, {"key": 9}]
)
def test_a_connection_with_anything_else_than_its_proof_is_about_is_refused(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    with agent() as there, HostEnd(there) as host, HostEnd(there) as forged:
        host.shake_hands()
        host.send(setup(tmp_path))
        assert isinstance(host.next(), Serving)
        opening = proven(Opening(1, b"", directory="/nowhere"), there.token, host.nonce)
        forged.send(msgspec.structs.replace(opening, **changed))

        assert is_closed(forged)


def test_a_file_is_not_sent_twice_for_one_proof(tmp_path: Path) -> None:
    with agent() as there, HostEnd(there) as host, HostEnd(there) as first, HostEnd(there) as again:
        host.shake_hands()
        host.send(setup(tmp_path))
        serving = host.next()
        Path(serving.folder, "log", "t.log").write_text("secret")
        fetch = encode_node(proven(Fetch(1, b"", "log/t"), there.token, host.nonce))
        first.channel.sendall(fetch)
        assert first.channel.recv(100, socket.MSG_WAITALL) == b"secret"
        again.channel.sendall(fetch)

        assert again.channel.recv(100, socket.MSG_WAITALL) == b""


def test_a_connection_that_has_brought_its_proof_is_not_pushed_out_by_strangers(tmp_path: Path) -> None:
    with agent() as there, HostEnd(there) as host:
        host.shake_hands()
        host.send(setup(tmp_path))
        assert isinstance(host.next(), Serving)
        there.process.send_signal(signal.SIGSTOP)  # it looks at nothing while they come
        with HostEnd(there) as process:
            process.send(proven(Opening(1, b"", directory="/nowhere"), there.token, host.nonce))
            strangers = [HostEnd(there) for _ in range(2 * MOST_AT_THE_DOOR)]
            there.process.send_signal(signal.SIGCONT)

            taken, failed = host.next(), host.next()

        for stranger in strangers:
            stranger.channel.close()
        assert taken == Taken(1)
        assert (failed.key, "there is no folder /nowhere" in failed.message) == (1, True)


def test_strangers_of_another_machine_push_out_each_other_and_not_a_host_that_is_about_to_prove_itself() -> None:
    with agent() as there, HostEnd(there) as host:
        proof = host.hear_challenge()
        strangers = [HostEnd(there, "127.0.0.2") for _ in range(2 * MOST_AT_THE_DOOR)]
        assert is_closed(strangers[MOST_AT_THE_DOOR])  # so there was no room any more
        host.send(proof)

        assert isinstance(host.next(), Known)
        for stranger in strangers:
            stranger.channel.close()


def test_tasks_run_on_a_node_that_is_reached_over_a_network(tmp_path: Path) -> None:
    team = {"agents": {"worker": {"entrypoint": "node_entrypoints:works_a_little"}}}
    with (
        agent() as there,
        place_of(NodeFound("there", there.address, there.token)) as lab,
        Runtime.from_mapping(team, standby=0, places=(lab,), place="lab", state_dir=tmp_path) as runtime,
    ):
        tasks = [runtime.run("worker", str(number)) for number in range(40)]

        assert [view.result for view in runtime.wait(tasks, timeout=PATIENCE)] == [n * n for n in range(40)]


# --- a zygote that is lost ------------------------------------------------------------------------------------------


@contextmanager
def process_without_zygote(folder: Path, first: bytes) -> Iterator[HostEnd]:
    """Have a process asked for whose connection begins with this and ends, and the zygote killed before it forks."""
    with agent() as there, HostEnd(there) as host, HostEnd(there) as process:
        host.shake_hands()
        host.send(setup(folder))
        assert isinstance(host.next(), Serving)
        wait_until(lambda: children_of(there.process.pid), "there is a zygote", PATIENCE)
        (zygote,) = children_of(there.process.pid)
        os.kill(zygote, signal.SIGSTOP)
        opening = proven(Opening(1, b""), there.token, host.nonce)
        process.channel.sendall(encode_node(opening) + first)
        process.channel.shutdown(socket.SHUT_WR)
        assert host.next() == Taken(1)
        os.kill(zygote, signal.SIGKILL)
        yield host


def test_a_process_that_has_read_nothing_when_its_zygote_is_lost_is_begun_by_the_next(tmp_path: Path) -> None:
    with process_without_zygote(tmp_path, b"what it would read") as host:
        begun = host.next()

        assert isinstance(begun, Forked)


def test_a_process_of_which_nobody_knows_whether_it_has_begun_when_its_zygote_is_lost_is_not_begun_again(
    tmp_path: Path,
) -> None:
    with process_without_zygote(tmp_path, b"") as host:
        ended = host.next()

        assert isinstance(ended, Ended)
        assert (ended.code, "the zygote ended" in ended.unobserved) == (None, True)


# --- why it ends ----------------------------------------------------------------------------------------------------


def test_an_agent_whose_host_says_what_it_may_not_tells_it_so(tmp_path: Path) -> None:
    with agent() as there, HostEnd(there) as host:
        host.shake_hands()
        host.send(setup(tmp_path))
        assert isinstance(host.next(), Serving)
        host.send(setup(tmp_path))

        assert host.next() == Parting("it sent what it may not say now")
        host.channel.close()
        assert there.written() == ""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"folder": "/proc/nothing"}, "it cannot be set up: its folder /proc/nothing"),
        ({"system": b"no pickle"}, "it cannot be set up: UnpicklingError: "),
        ({"system": b"\x80\x04}(\x8c\x01xK\x01u."}, "it cannot be set up: TypeError: "),
    ],
)
def test_a_node_that_cannot_be_set_up_says_why_and_leaves_nothing(
    given: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with agent() as there, HostEnd(there) as host:
        host.shake_hands()
        host.send(setup(**{"folder": tmp_path, **given}))

        parting = host.next()
        host.channel.close()

        assert isinstance(parting, Parting)
        assert parting.why.startswith(words)
        assert there.written() == ""
        assert not list(tmp_path.iterdir())


def test_a_node_that_is_sent_modules_which_are_none_says_why_and_leaves_nothing_of_the_run(tmp_path: Path) -> None:
    with agent() as there, HostEnd(there) as host:
        host.shake_hands()
        host.send(setup(tmp_path, code=(name_of(b"no archive"),)))
        assert host.next() == Notice(encode_plain(CodeWanted((name_of(b"no archive"),))))
        host.send(Order(encode_plain(CodeSent(b"no archive"))))
        parting = host.next()
        host.channel.close()

        assert isinstance(parting, Parting)
        assert parting.why.startswith("it cannot be set up: ReadError: ")
        assert there.written() == ""
        assert [path.name for path in tmp_path.iterdir()] == ["code"]


def test_a_node_whose_host_goes_before_it_has_sent_the_modules_ends_at_once(tmp_path: Path) -> None:
    with agent() as there, HostEnd(there) as host:
        host.shake_hands()
        host.send(setup(tmp_path, code=(name_of(b"no archive"),)))
        assert isinstance(host.next(), Notice)
        host.channel.close()

        assert there.written() == ""
        assert not list(tmp_path.iterdir())


def test_an_agent_that_is_asked_to_end_says_so_and_does(tmp_path: Path) -> None:
    with agent() as there, HostEnd(there) as host:
        host.shake_hands()
        host.send(setup(tmp_path))
        assert isinstance(host.next(), Serving)
        there.process.terminate()

        assert host.next() == Parting("it was ended by SIGTERM")
        host.channel.close()
        assert there.written() == ""
        assert not list(tmp_path.iterdir())


def test_a_node_that_can_start_no_processes_says_so(tmp_path: Path) -> None:
    program = "import sys; from subactors.runtime.nodes.agent import main; sys.executable = '/nowhere/python'; main()"
    with agent("-c", program) as there, HostEnd(there) as host:
        host.shake_hands()
        host.send(setup(tmp_path))
        parting = host.next()

        assert isinstance(parting, Parting)
        assert parting.why.startswith("it can start no processes: /nowhere/python did not start: [Errno 2]")


def test_an_agent_whose_starter_has_ended_before_it_ends_in_words() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with agent(starter=gone.pid) as there:
        assert there.process.wait(PATIENCE) == 0
        assert "Traceback" not in there.written()


def test_an_agent_by_pipes_leaves_no_socket_behind(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent"
    with _piped(path) as process:
        wait_until(path.exists, "it listens")
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)

    assert not path.parent.exists()


def test_an_agent_removes_what_one_that_was_killed_has_left() -> None:
    with tempfile.TemporaryDirectory() as around:
        killed, path = (Path(around, "subactors-" + digit * 16, "agent") for digit in "12")
        with _piped(killed) as process:
            wait_until(killed.exists, "it listens")
            process.kill()
        os.utime(killed.parent, (0, 0))
        with _piped(path) as process:
            wait_until(lambda: path.exists() and not killed.parent.exists(), "it is removed")
            process.kill()


def _piped(path: Path) -> subprocess.Popen[bytes]:
    told = {"token": os.urandom(32).hex(), "listen": {"unix": str(path)}, "control": "stdio"}
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "subactors.runtime.nodes.agent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environ,
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(told) + b"\n")
    process.stdin.flush()
    return process
