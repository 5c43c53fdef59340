"""Loopback: nodes on this machine for benchmarks. Agents are reached over TCP, by ssh, or in a Ray cluster.

Each is a real agent in a process of its own; what is missing is the way between two machines.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from subactors.runtime import SshPlace
from subactors.runtime.nodes.finding import LAUNCHERS
from subactors.runtime.nodes.launcher import NodeFound
from subactors.runtime.nodes.tls_files import TlsFiles
from subactors.runtime.nodes.tls_lines import TlsLines

from .relay import Relay

__all__ = [
    "ADDRESS",
    "Place",
    "TcpLauncher",
    "missing_openssl",
    "missing_ray",
    "missing_ssh",
    "ray_place",
    "ssh_place",
    "tcp_place",
    "tls_place",
]

Place: TypeAlias = dict[str, Any]
"""A place, as a team file has it under its name."""

ADDRESS: Final = "127.0.0.1"

_PATIENCE: Final = 10.0
"""Seconds in which a server has to be there, or an agent gone."""

_SSHD: Final = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_SSHD_CONFIGURATION: Final = f"""\
Port {{port}}
ListenAddress {ADDRESS}
HostKey {{folder}}/host_key
AuthorizedKeysFile {{folder}}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
MaxSessions 100
"""


class TcpLauncher:
    """Launcher of agents that are reached over TCP on this machine; see `Launcher` of the runtime.

    Args:
        nodes: how many agents.
        counts: whether connections go through relays that count bytes.
        files: what connections are encrypted with, by relays of the runtime; None: they are plain.

    Attributes:
        agents: their processes, by the names of their nodes.
        relays: by the same names, if bytes are counted.
    """

    def __init__(self, nodes: int = 1, *, counts: bool = False, files: TlsFiles | None = None) -> None:
        self._counts = counts
        self._files = files
        self._lines = None if files is None else TlsLines(files, (), Path(tempfile.mkdtemp(prefix="sb-")) / "lines")
        self.relays: dict[str, Relay] = {}
        self._names = [f"loopback-{number}" for number in range(nodes)]
        self._threads: list[threading.Thread] = []
        self.agents: dict[str, subprocess.Popen[bytes]] = {}

    def begin(
        self,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str, bool], None],
        trouble: Callable[[str, bool], None],
        drains: Callable[[str], None],
        coming: Callable[[str], None],
    ) -> None:
        """Start an agent for each node, in a thread for each."""
        del drains, coming  # nobody takes these away, and the place names them
        for name in self._names:
            thread = threading.Thread(target=self._serve, args=(name, found, lost, trouble), daemon=True)
            self._threads.append(thread)
            thread.start()

    def release(self, name: str) -> None:
        """End an agent, which has nothing to do any more."""
        if self._lines is not None:
            self._lines.close(name)
        if (agent := self.agents.get(name)) is not None:
            agent.terminate()

    def close(self) -> None:
        """Wait for the agents' ends; those that are still there then are killed."""
        if self._lines is not None:
            self._lines.close_all()
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for agent in self.agents.values():
            agent.kill()
        for relay in self.relays.values():
            relay.close()

    def _serve(
        self,
        name: str,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str, bool], None],
        trouble: Callable[[str, bool], None],
    ) -> None:
        token = os.urandom(32)
        beginning = {
            "token": token.hex(),
            "listen": {"tcp": [ADDRESS, 0]},
            "control": "listen",
            "starter": os.getpid(),
            "tls": msgspec.to_builtins(self._files),
        }
        agent = subprocess.Popen(
            [sys.executable, "-m", "subactors.runtime.nodes.agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.agents[name] = agent
        assert agent.stdin is not None  # noqa: S101 - it was asked for
        assert agent.stdout is not None  # noqa: S101 - the same
        with agent:
            agent.stdin.write(json.dumps(beginning).encode() + b"\n")
            agent.stdin.flush()
            if line := agent.stdout.readline():
                said = json.loads(line)
                address, port = said["address"]
                if self._counts:
                    relay = self.relays[name] = Relay((address, port))
                    address, port = relay.address
                node = NodeFound(name, (address, port), token)
                if self._lines is not None:
                    self._lines.open(node, said["certificate"], found, lambda of, why: lost(of, why, True))
                else:
                    found(node)
                agent.wait()
        lost(name, "", True)
        trouble("", True)


@contextlib.contextmanager
def tcp_place(
    nodes: int = 1, *, counts: bool = False, files: TlsFiles | None = None
) -> Iterator[tuple[Place, TcpLauncher]]:
    """Have a place whose nodes are agents on this machine, reached over TCP; a runtime inside of the block has it.

    The runtime knows places by ssh and of Ray, so this one is named as one by ssh, and finds its nodes otherwise.
    """
    launcher, usual = TcpLauncher(nodes, counts=counts, files=files), LAUNCHERS[SshPlace]
    LAUNCHERS[SshPlace] = lambda *_: (launcher, None)
    try:
        yield {"type": "ssh", "hosts": [f"loopback-{number}" for number in range(nodes)]}, launcher
    finally:
        LAUNCHERS[SshPlace] = usual


# --- TLS -------------------------------------------------------------------------------------------------------------


def missing_openssl() -> str:
    """Say why there can be no certificates here; empty if there can."""
    return "" if shutil.which("openssl") else "the program openssl is not installed here"


@contextlib.contextmanager
def tls_place() -> Iterator[Place]:
    """Have a place of one node, reached over TCP with TLS, as that of a Ray cluster that has TLS."""
    with tempfile.TemporaryDirectory(prefix="sb-") as name:
        certificate, key = f"{name}/certificate", f"{name}/key"
        kind = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=benchmark")
        command = [shutil.which("openssl") or "openssl", "req", *kind, "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True)
        with tcp_place(files=TlsFiles(certificate, key, certificate)) as (place, _):
            yield place


# --- ssh -------------------------------------------------------------------------------------------------------------


def missing_ssh() -> str:
    """Say why there can be no node by ssh here; empty if there can."""
    if _SSHD is None or shutil.which("ssh") is None:
        return "OpenSSH is not installed here (server and client)"
    return ""


@contextlib.contextmanager
def ssh_place() -> Iterator[Place]:
    """Have a place of one node that is this machine, reached by ssh; modules are found there as they are here."""
    with tempfile.TemporaryDirectory(prefix="sb-", dir="/tmp") as name:
        folder = Path(name)
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH={":".join(sys.path)} exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        with _ssh_server(folder) as options:
            yield {
                "type": "ssh",
                "hosts": [f"{getpass.getuser()}@{ADDRESS}"],
                "python": str(python),
                "options": list(options),
                "folder": str(folder / "node"),
            }


@contextlib.contextmanager
def _ssh_server(folder: Path) -> Iterator[tuple[str, ...]]:
    """Serve ssh on a free port; gives the arguments of ssh by which it is reached."""
    assert _SSHD is not None  # noqa: S101 - `missing_ssh` is asked first
    keygen = shutil.which("ssh-keygen") or "ssh-keygen"
    for name in ("host_key", "key"):
        command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind((ADDRESS, 0))
        port = free.getsockname()[1]
    configuration = folder / "sshd_config"
    configuration.write_text(_SSHD_CONFIGURATION.format(port=port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd keeps its helpers without privileges
    command = [_SSHD, "-D", "-f", str(configuration), "-E", str(folder / "sshd.log")]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield (
            *("-F", "none"),
            *("-p", str(port)),
            *("-i", str(folder / "key")),
            *("-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=no"),
            *("-o", f"UserKnownHostsFile={folder / 'known_hosts'}"),
            *("-o", "LogLevel=ERROR"),
        )
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex((ADDRESS, port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError(f"sshd does not serve within {_PATIENCE:g} s")


# --- Ray -------------------------------------------------------------------------------------------------------------


def missing_ray() -> str:
    """Say why there can be no node of a Ray cluster here; empty if there can."""
    if importlib.util.find_spec("ray") is None:
        return "ray is not installed"
    if importlib.util.find_spec("subactors.runtime.nodes.ray") is None:
        return "this version has no places of type ray"
    return ""


_CLUSTER: Final = """
import os, sys
from ray.cluster_utils import Cluster
cluster = Cluster()
cluster.add_node(num_cpus=os.cpu_count(), include_dashboard=False)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@contextlib.contextmanager
def ray_place() -> Iterator[Place]:
    """Have a place that is a Ray cluster of one node, this machine; no Ray is in this process."""
    with subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    ) as cluster:
        assert cluster.stdout is not None  # noqa: S101 - it was asked for
        yield {"type": "ray", "address": cluster.stdout.readline().strip()}
