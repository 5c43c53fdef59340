"""A server for ssh on loopback, and a place of one node that is reached by it: this machine, as if it were another."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest
from subactors.runtime.team.places import SshPlace

__all__ = ["needs_sshd", "ssh_place", "ssh_server"]

_SSHD: Final = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_KEYGEN: Final = shutil.which("ssh-keygen") or "ssh-keygen"

needs_sshd: Final = pytest.mark.skipif(
    _SSHD is None or shutil.which("ssh") is None, reason="There is no OpenSSH here: install openssh-server and -client."
)

_PATIENCE: Final = 10.0

_CONFIGURATION: Final = """\
Port {port}
{addresses}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
MaxSessions 100
"""


@contextmanager
def ssh_server(
    folder: Path, addresses: Sequence[str] = ("127.0.0.1",), inside: Sequence[str] = ()
) -> Iterator[tuple[str, ...]]:
    """Serve ssh on a free port; gives the arguments of ssh by which it is reached, the port first.

    Args:
        folder: for its files.
        addresses: where it serves.
        inside: what begins its command line, as to run it in another network.
    """
    assert _SSHD is not None
    for name in ("host_key", "key"):
        command = [_KEYGEN, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = folder / "sshd_config"
    listening = "\n".join(f"ListenAddress {address}" for address in addresses)
    configuration.write_text(_CONFIGURATION.format(port=port, folder=folder, addresses=listening))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd keeps its helpers without privileges
    log = folder / "sshd.log"
    server = subprocess.Popen(
        [*inside, _SSHD, "-D", "-f", str(configuration), "-E", str(log)], stdin=subprocess.DEVNULL
    )
    try:
        _wait_for(addresses[0], port, log)
        yield (
            *("-p", str(port)),
            *("-F", "none"),
            *("-i", str(folder / "key")),
            *("-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=no"),
            *("-o", f"UserKnownHostsFile={folder / 'known_hosts'}"),
            *("-o", "LogLevel=ERROR"),
        )
    finally:
        # What serves a line that was cut hears of no end, neither of the line nor of the server. No more than that is
        # killed: whatever else is left was left by what is tested.
        below = psutil.Process(server.pid).children(recursive=True)
        sessions = [process for process in below if process.name().startswith("sshd")]
        server.terminate()
        server.wait()
        for session in sessions:
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()


@contextmanager
def ssh_place(
    folder: Path, name: str = "lab", nodes: int = 1, *, address: str = "", inside: Sequence[str] = ()
) -> Iterator[SshPlace]:
    """Have a place whose nodes are this machine; modules are found there as here.

    Args:
        folder: for its files.
        name: of the place.
        nodes: how many nodes it has.
        address: of the only node, if it has one elsewhere than on loopback.
        inside: as of `ssh_server`.
    """
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={":".join(sys.path)} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    user = getpass.getuser()
    addresses = [address] if address else [f"127.0.0.{number + 1}" for number in range(nodes)]
    with ssh_server(folder, addresses, inside) as options:
        yield SshPlace(
            name=name,
            hosts=tuple(f"{user}@{one}" for one in addresses),
            python=str(python),
            options=options,
            folder=str(folder / "node"),
        )


def _wait_for(address: str, port: int, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"sshd does not serve: {log.read_text() if log.exists() else 'it wrote nothing'}")
