"""Address: where the MCP server over HTTP is reached, and by whom; see `access`.

It imports nothing that takes long, so that a wrong use is told of at once.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from ...actors.regular_files import open_to_read
from ..errors import SubactorsError

__all__ = ["Address", "is_host_name", "is_loopback", "tokens_of"]

_LARGEST: Final = 1_000_000
"""Characters of a token file that are read."""

_SHORTEST: Final = 16
"""Characters of a token: one that is shorter can be guessed."""

_NAME: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
"""What a client may send as `Host`, and a port."""

_LAST_PORT: Final = 65535

_OTHERS_READ: Final = stat.S_IRGRP | stat.S_IROTH


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is reached, and by whom.

    Attributes:
        host: the address that it listens at.
        port: the port; 0: a free one.
        allowed_hosts: see `guarded`.
        tokens: see `guarded`.
        linger: seconds after which the tasks of a client that has gone away are ended.
    """

    host: str
    port: int
    allowed_hosts: Sequence[str] = ()
    tokens: Sequence[str] = ()
    linger: float


def is_host_name(text: str) -> bool:
    """Whether a client can call a server so: by a name or an address, with a port or without."""
    found = _NAME.fullmatch(text)
    return found is not None and int(found[1] or 0) <= _LAST_PORT


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def tokens_of(file: Path) -> tuple[list[str], bool]:
    """Return the tokens of a file, and whether other users may read it.

    There is one a line; empty lines, and those that begin with `#`, are passed over.

    Raises:
        SubactorsError: it cannot be read, or has no token, or one that is too short.
    """
    try:
        with os.fdopen(open_to_read(file, follow=True), encoding="utf-8") as opened:
            lines = opened.read(_LARGEST).splitlines()
            is_open = bool(os.fstat(opened.fileno()).st_mode & _OTHERS_READ)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text in UTF-8"
        raise SubactorsError(f"The token file {file} cannot be read: {why}.") from None
    tokens = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    make = f"Make one, for example: (umask 077; openssl rand -hex 32 > {file})"
    if not tokens:
        raise SubactorsError(f"The token file {file} has no token. {make}")
    if any(len(token) < _SHORTEST or not token.isascii() or len(token.split()) > 1 for token in tokens):
        raise SubactorsError(
            f"The token file {file} has a line that is no token: at least {_SHORTEST} characters of ASCII, and no "
            f"space. {make}"
        )
    return tokens, is_open
