"""Relay messages: what a relay is told, and what it says, each a line of JSON; see `relay_program`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from ...actors import Address
from .tls_files import TlsFiles

__all__ = ["RelayBeginning", "RelaySaid", "remove_socket"]


class RelayBeginning(msgspec.Struct, frozen=True):
    """What a relay is told first.

    Attributes:
        files: what its end of the line shows, and holds the other to.
        listener: descriptor of what connections come to.
        to: where they go on.
        socket: path of the one of both that is a Unix socket; the relay removes it and its folder, at its end.
        certificate: which the node must show, at the host's end; None: this is the node's end.
    """

    files: TlsFiles
    listener: int
    to: Address
    socket: str
    certificate: str | None = None


class RelaySaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it answers, once.

    Attributes:
        certificate: what the other end knows this machine's certificate by.
        problem: why it cannot be a relay, as a clause; empty if it is one.
    """

    certificate: str = ""
    problem: str = ""


def remove_socket(path: str) -> None:
    """Remove a Unix socket, and its folder, which has nothing else."""
    with contextlib.suppress(OSError):
        Path(path).unlink(missing_ok=True)
        Path(path).parent.rmdir()
