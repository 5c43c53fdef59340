"""MCP address: where `subactors mcp --http` is reached, as its options say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from ..serve.http import Address

__all__ = ["address_of"]

_PORT: Final = 8765
_HOST: Final = "127.0.0.1"
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
    from ..serve.access import is_loopback, tokens_of  # noqa: PLC0415 - few serve over HTTP
    from ..serve.http import Address  # noqa: PLC0415 - the same

    host = given.get("host", _HOST)
    missing = [f"--{name}" for name in ("token_file", "allowed_hosts") if name not in given]
    if missing and not is_loopback(host):
        named = " and ".join(missing).replace("_", "-").replace("-hosts", "-host")
        raise click.UsageError(
            f"At {host}, other machines reach the server. Give {named}, or leave --host out and let them come "
            "through `ssh -L`."
        )
    tokens = tokens_of(given["token_file"]) if "token_file" in given else []
    return Address(
        host=host,
        port=given.get("port", _PORT),
        allowed_hosts=given.get("allowed_hosts", ()),
        tokens=tokens,
        linger=given.get("linger", _LINGER),
    )
