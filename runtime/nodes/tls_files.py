"""TLS files: what Ray is told of TLS by the environment. Importing it costs nothing, as most have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["VARIABLES", "TlsFiles", "tls_files_of"]


class TlsFiles(msgspec.Struct, frozen=True):
    """Paths of what an end shows, and of what it holds the other end to; empty where the environment names none.

    Attributes:
        certificate: of this machine, with those between it and the authority.
        key: of the certificate.
        authority: certificates of those by whom the other end's must be signed.
    """

    certificate: str = ""
    key: str = ""
    authority: str = ""


VARIABLES: Final = {
    "certificate": "RAY_TLS_SERVER_CERT",
    "key": "RAY_TLS_SERVER_KEY",
    "authority": "RAY_TLS_CA_CERT",
}
"""Which variables name them."""


def tls_files_of(environ: Mapping[str, str]) -> TlsFiles | None:
    """Return what an environment says; None where Ray has no TLS."""
    if environ.get("RAY_USE_TLS", "").lower() not in {"1", "true"}:  # as Ray reads it
        return None
    return TlsFiles(**{field: environ.get(variable, "") for field, variable in VARIABLES.items()})
