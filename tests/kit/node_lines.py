"""Lines between a host and the agent of a node. One end is the test: as the host of a real agent, or as a node."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any, Final, NamedTuple, Self
from unittest import mock

import msgspec
from subactors.actors.host.versions import own_versions
from subactors.actors.node.handshake import Handshake
from subactors.actors.wire.frames import FrameDecoder, encode_plain
from subactors.actors.wire.node import (
    Beat,
    Challenge,
    Control,
    Ended,
    FromNode,
    Known,
    Notice,
    Opening,
    Proof,
    Serving,
    Setup,
    decode_first,
    decode_from_node,
    decode_to_node,
    encode_node,
    proof_of_host,
)
from subactors.runtime import SshPlace
from subactors.runtime.nodes import ssh
from subactors.runtime.nodes.launcher import NodeFound

__all__ = ["Agent", "FakeNode", "HostEnd", "agent", "place_of"]

PATIENCE: Final = 20.0


class Agent(NamedTuple):
    """An agent that waits for its host.

    Attributes:
        process: it.
        address: where it takes connections.
        token: what its host knows.
        errors: what it has written to standard error.
    """

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    token: bytes
    errors: IO[bytes]

    def written(self) -> str:
        """Wait for its end, and return what it has written."""
        self.process.wait(PATIENCE)
        self.errors.seek(0)
        return self.errors.read().decode()


@contextmanager
def agent(*program: str, **beginning: Any) -> Iterator[Agent]:
    """Have an agent on this machine, which ends with the block.

    Args:
        program: arguments of its interpreter, if it is not the usual program.
        beginning: what it is told besides.
    """
    token = os.urandom(32)
    told = {"token": token.hex(), "listen": {"tcp": ["127.0.0.1", 0]}, "control": "listen", **beginning}
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as closing:
        errors = closing.enter_context(tempfile.TemporaryFile())
        process = closing.enter_context(
            subprocess.Popen(
                [sys.executable, *(program or ("-m", "subactors.runtime.nodes.agent"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environ,
                start_new_session=True,
            )
        )
        closing.callback(process.terminate)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
        address = json.loads(process.stdout.readline())["address"]
        yield Agent(process, (address[0], address[1]), token, errors)


class _End:
    """An end of a connection, which waits, but not for ever."""

    def __init__(self, channel: socket.socket, decode: Callable[[memoryview], Any]) -> None:
        channel.settimeout(PATIENCE)
        self.channel = channel
        self._decode = decode
        self._decoder = FrameDecoder()
        self._came: list[Any] = []
        self._lock = threading.Lock()

    def send(self, *messages: Any) -> None:
        with self._lock:
            self.channel.sendall(b"".join(map(encode_node, messages)))

    def next(self) -> Any:
        """Return what comes next but for signs of life; None at the end."""
        while not self._came:
            try:
                data = self.channel.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            said = [self._decode(payload) for _, payload in self._decoder.feed(data)]
            self._came += [message for message in said if not isinstance(message, Beat)]
        return self._came.pop(0)


class HostEnd(_End):
    """A connection to an agent, as its host has it, or a stranger.

    Args:
        to: the agent.
        come_from: the address that it seems to come from.

    Attributes:
        nonce: the agent's, once it has challenged.
    """

    def __init__(self, to: Agent, come_from: str = "127.0.0.1") -> None:
        super().__init__(socket.create_connection(to.address, PATIENCE, (come_from, 0)), decode_from_node)
        self._token = to.token
        self.nonce = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def shake_hands(self, lease: float = 10.0) -> Known:
        """Prove what this is; return the answer."""
        proof = self.hear_challenge(lease)
        self.send(proof)
        known: Known = self.next()
        return known

    def hear_challenge(self, lease: float = 10.0) -> Proof:
        """Say hello; return the proof that is to be sent then."""
        hello = Control(os.urandom(32))
        self.send(hello)
        challenge = self.next()
        assert isinstance(challenge, Challenge)
        self.nonce = challenge.nonce
        return Proof(proof_of_host(self._token, hello.nonce, challenge, lease), lease)


class FakeNode:
    """A node that says what a test has it say; its processes are connections that it holds.

    Args:
        path: of the socket that it listens to; empty: it does so on loopback.

    Attributes:
        line: the connection to the host, once it serves.
        processes: what each process's connection began with, and the connection.
        files: what is in them, by the names by which they are fetched.
        fetched: how many have been.
        found: how a launcher tells of it.
    """

    def __init__(self, path: str) -> None:
        self.token = os.urandom(32)
        self.processes: list[tuple[Opening, socket.socket]] = []
        self.files: dict[str, bytes] = {}
        self.fetched = 0
        self.line: _End
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(path or ("127.0.0.1", 0))
        self._listener.listen()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        """Give the host's end of the line as `found`."""
        theirs, ours = socket.socketpair()
        self.line = _End(ours, decode_to_node)
        self.found = NodeFound("fake", self._listener.getsockname(), self.token, theirs)
        self._begin(self._accept)
        self._begin(self._beat)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
        for channel in (self.line.channel, *(channel for _, channel in self.processes)):
            channel.close()

    def serve(self, folder: str = "/nowhere") -> None:
        """Come to the point at which processes are asked for."""
        self.shake_hands()
        self.line.send(Known(own_versions()))
        assert isinstance(self.line.next(), Setup)
        self.line.send(Serving(folder))

    def shake_hands(self) -> None:
        """Prove what this is, and see that the other end is the host."""
        handshake = Handshake(self.token, self.line.next())
        self.line.send(handshake.challenge)
        assert handshake.accepts(self.line.next())

    def say(self, *messages: FromNode) -> None:
        self.line.send(*messages)

    def notice(self, message: msgspec.Struct) -> None:
        """Say something of tasks."""
        self.say(Notice(encode_plain(message)))

    def end(self, left: msgspec.Struct, **facts: Any) -> None:
        """Say that the latest process has ended, and what it has left; it says no more itself."""
        opening, channel = self.processes[-1]
        channel.shutdown(socket.SHUT_WR)
        self.say(Ended(opening.key, **{"code": 0, "left": encode_plain(left), **facts}))

    def _begin(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _beat(self) -> None:
        """Give signs of life, so that it is not lost for want of them."""
        with suppress(OSError):
            while not self._closing.wait(1.0):
                self.say(Beat())

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            first, size = None, 1
            seen = b""
            while first is None and (data := channel.recv(size - len(seen) or 1, socket.MSG_WAITALL)):
                seen += data
                first, size = decode_first(seen)
            if isinstance(first, Opening):
                self.processes.append((first, channel))
                continue
            self.fetched += 1
            with channel, suppress(OSError):  # the host may take a part of it only
                channel.sendall(self.files.get(getattr(first, "name", ""), b""))


class _FakeLauncher:
    """Finds one node, as `Launcher`."""

    def __init__(self, found: NodeFound) -> None:
        self._found = found

    def begin(self, found: Callable[[NodeFound], None], *_: object) -> None:
        found(self._found)

    def release(self, name: str) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def place_of(node: NodeFound) -> Iterator[SshPlace]:
    """Have a place whose only node is this one, for a runtime that is made meanwhile."""
    with mock.patch.object(ssh, "SshLauncher", return_value=_FakeLauncher(node)):
        yield SshPlace(name="lab", hosts=(node.name,))
