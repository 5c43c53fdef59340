"""Another network on this machine, behind a line that can be cut; and a line that is slow."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final, NamedTuple

import pytest

__all__ = ["OtherNetwork", "needs_namespaces", "other_network", "slow_line"]

_IP: Final = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

_PATIENCE: Final = 10.0
"""Seconds that anything of this may take to be there, or gone."""

needs_namespaces: Final = pytest.mark.skipif(
    _IP is None or os.geteuid() != 0, reason="Another network needs `ip` of iproute2, and a user who may make one."
)


class OtherNetwork(NamedTuple):
    """A network namespace.

    Attributes:
        address: by which it is reached from here.
        inside: what begins a command that is to run in it.
        line: the interface here that leads to it.
    """

    address: str
    inside: tuple[str, ...]
    line: str

    def cut(self) -> None:
        """Cut the line: nothing goes through any more, and nobody is told."""
        _ip("link", "set", self.line, "down")


@contextmanager
def other_network() -> Iterator[OtherNetwork]:
    """Have another network, which is gone afterwards."""
    number = os.getpid() % 250 + 1
    name, ours, theirs = f"subactors{os.getpid()}", f"sa{os.getpid()}a", f"sa{os.getpid()}b"
    here, there = f"10.213.{number}.1", f"10.213.{number}.2"
    with ExitStack() as undoing:
        # Also where it fails: a part of it may be there, as the file that names it. With it the line goes, too.
        undoing.callback(_ip_whatever_comes, "netns", "del", name)
        try:
            _ip("netns", "add", name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"No network namespace can be made here: {error.stderr.decode().strip()}")
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        _ip("addr", "add", f"{here}/30", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", name, "addr", "add", f"{there}/30", "dev", theirs)
        for device in (theirs, "lo"):
            _ip("-n", name, "link", "set", device, "up")
        yield OtherNetwork(there, (str(_IP), "netns", "exec", name), ours)


def _ip_whatever_comes(*arguments: str) -> None:
    with suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
        _ip(*arguments)


def _ip(*arguments: str) -> None:
    subprocess.run([str(_IP), *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE)


@contextmanager
def slow_line(port: int, *, delay: float, rate: float) -> Iterator[int]:
    """Have a port of loopback that leads to another one by a line with a delay and a rate.

    Args:
        port: where it leads to.
        delay: seconds one way.
        rate: bytes a second, each way, for all connections together.
    """
    ready = threading.Event()
    found: list[tuple[int, Callable[[], object]]] = []

    async def serve() -> None:
        ways = [_Way(delay, rate), _Way(delay, rate)]
        over = asyncio.Event()
        joined: set[asyncio.Task[None]] = set()

        async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            onward, back = await asyncio.open_connection("127.0.0.1", port)
            try:
                with suppress(OSError):
                    await asyncio.gather(ways[0].carry(reader, back), ways[1].carry(onward, writer))
            finally:
                for end in (writer, back):
                    end.close()
                    with suppress(OSError):
                        await end.wait_closed()

        server = await asyncio.start_server(
            lambda *ends: joined.add(asyncio.ensure_future(join(*ends))), "127.0.0.1", 0
        )
        loop = asyncio.get_running_loop()
        found.append((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(over.set)))
        ready.set()
        async with server:
            await over.wait()
            for task in joined:
                task.cancel()
            await asyncio.gather(*joined, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="slow-line", daemon=True)
    thread.start()
    assert ready.wait(_PATIENCE), "the slow line does not begin"
    ((own, close),) = found
    try:
        yield own
    finally:
        close()
        thread.join(_PATIENCE)
        assert not thread.is_alive(), "the slow line does not end"


class _Way:
    """One direction: what is sent waits for its turn on the line, and then for the delay."""

    def __init__(self, delay: float, rate: float) -> None:
        self._delay, self._rate = delay, rate
        self._free_at = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        on_its_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        arriving = asyncio.create_task(self._arrive(on_its_way, writer))
        try:
            await self._send(reader, on_its_way)
            await arriving
        finally:
            arriving.cancel()

    async def _send(self, reader: asyncio.StreamReader, on_its_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(4096):
            self._free_at = max(self._free_at, loop.time()) + len(data) / self._rate
            await on_its_way.put((self._free_at + self._delay, data))
            await asyncio.sleep(max(0.0, self._free_at - loop.time()))
        await on_its_way.put((0.0, b""))

    async def _arrive(self, on_its_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while (one := await on_its_way.get())[1]:
            await asyncio.sleep(max(0.0, one[0] - loop.time()))
            writer.write(one[1])
            await writer.drain()
        writer.close()
