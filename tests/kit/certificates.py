"""Certificates for tests, made by the program `openssl`: authorities, and what they have signed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from subactors.runtime.nodes.tls_files import VARIABLES, TlsFiles

__all__ = ["Authority", "environment_of", "needs_openssl"]

_OPENSSL: Final = shutil.which("openssl")

needs_openssl: Final = pytest.mark.skipif(_OPENSSL is None, reason="There is no program openssl here.")

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Who signs certificates.

    Args:
        folder: where all its files go.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.certificate = folder / f"{name}.crt"
        self._key = folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate
        )

    def files(self, name: str, *addresses: str) -> TlsFiles:
        """Sign a certificate for a machine with these addresses."""
        key, request, signed, extra = (self._folder / f"{name}.{end}" for end in ("key", "csr", "crt", "ext"))
        extra.write_text("basicConstraints=CA:FALSE\n" + _names(addresses))
        _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        signing = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", "2", "-extfile", extra)
        _openssl("x509", "-req", "-in", request, "-out", signed, *signing)
        return TlsFiles(str(signed), str(key), str(self.certificate))


def environment_of(files: TlsFiles) -> dict[str, str]:
    """Return the variables by which Ray is told of these."""
    return {"RAY_USE_TLS": "1", **{variable: getattr(files, field) for field, variable in VARIABLES.items()}}


def _names(addresses: tuple[str, ...]) -> str:
    return f"subjectAltName={','.join(f'IP:{address}' for address in addresses)}\n" if addresses else ""


def _openssl(*arguments: str | Path) -> None:
    assert _OPENSSL is not None
    subprocess.run([_OPENSSL, *arguments], check=True, capture_output=True)
