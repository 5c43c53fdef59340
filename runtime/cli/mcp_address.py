"""MCP address: where `subactors mcp --http` is reached, as its options say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from ..serve.address import Address, is_host_name, is_loopback, tokens_of
from ..terminal.streams import warn

__all__ = ["address_of"]

_PORT: Final = 8765
_HOST: Final = "127.0.0.1"
_LEAST_LINGER: Final = 1.0
_LINGER: Final = 1800.0
"""Seconds: as long as a person may leave an assistant alone that keeps no stream open."""


def address_of(options: dict[str, Any]) -> Address | None:
    """Take what concerns the address out of the options of the command, and return it; None: it speaks on pipes.

    Raises:
        click.UsageError: options do not go together.
        SubactorsError: the token file is of no use.
    """
    is_http = options.pop("http")
    names = ("host", "port", "token_file", "allowed_hosts", "linger")
    given = {name: value for name in names if (value := options.pop(name)) not in {None, ()}}
    if not is_http:
        if given:
            option = next(iter(given)).removesuffix("s").replace("_", "-")
            raise click.UsageError(f"--{option} is for --http. Add that, or leave it out.")
        return None

    host = given.get("host", _HOST)
    missing = [f"--{name}" for name in ("token_file", "allowed_hosts") if name not in given]
    if missing and not is_loopback(host):
        named = " and ".join(missing).replace("_", "-").replace("-hosts", "-host")
        raise click.UsageError(
            f"At {host}, other machines reach the server. Give {named}, or leave --host out and let them come "
            "through `ssh -L`."
        )
    for name in given.get("allowed_hosts", ()):
        if not is_host_name(name):
            raise click.UsageError(
                f"--allowed-host {name!r} is no name of a machine. Give it as clients send it: agents.example.org, "
                "agents.example.org:8443 or [::1]."
            )
    linger = given.get("linger", _LINGER)
    if linger < _LEAST_LINGER:
        raise click.UsageError(
            f"--linger {linger:g}s is too short: a client is away between two of its requests, too, and its tasks "
            f"would end then. Give at least {_LEAST_LINGER:g}s."
        )
    return Address(
        host=host,
        port=given.get("port", _PORT),
        allowed_hosts=given.get("allowed_hosts", ()),
        tokens=_tokens(given["token_file"]) if "token_file" in given else (),
        linger=linger,
    )


def _tokens(file: Path) -> list[str]:
    tokens, is_open = tokens_of(file)
    if is_open:
        warn(f"Other users of this machine may read the token file {file}. Keep it to yourself: chmod 600 {file}")
    return tokens
