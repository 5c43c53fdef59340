"""TLS: what connections between a host and the nodes of a Ray cluster are made with, where Ray itself has it.

Ray has one certificate, one key and one authority for each machine, and both ends of a connection show theirs. So do
ours, with the same files.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from pathlib import Path
from typing import Final

from ..text import one_line
from .tls_files import VARIABLES, TlsFiles

__all__ = ["TlsError", "check_certificate", "context_of", "fault_of", "fingerprint", "in_words"]

_LONGEST: Final = 200
"""Characters of what is said of a file, or by OpenSSL."""


class TlsError(Exception):
    """There can be no TLS: a clause that says why."""


def context_of(files: TlsFiles, *, serves: bool) -> ssl.SSLContext:
    """Return what connections are made with, of the end that is connected to (`serves`) or of the other.

    Both ends have to show a certificate that the authority has signed. Names in it are not compared: they are Ray's, in
    forms that OpenSSL does not take for those of a machine. Instead the end that connects is told which certificate it
    is to see (`check_certificate`).

    Raises:
        TlsError: a file is missing, cannot be read, or is not what it is to be.
    """
    for field, variable in VARIABLES.items():
        _check_readable(variable, getattr(files, field))
    # Made by hand: the usual one would write the keys of all connections where SSLKEYLOGFILE says.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serves else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    if serves:
        context.num_tickets = 0  # nobody comes back with one
    try:
        context.load_verify_locations(files.authority)
    except ssl.SSLError as error:
        named = _named("RAY_TLS_CA_CERT", files.authority)
        raise TlsError(f"{named}, which holds no certificate: {in_words(error)}") from error
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except ssl.SSLError as error:
        named = _named("RAY_TLS_SERVER_CERT", files.certificate)
        what = f"which is no certificate that the key of RAY_TLS_SERVER_KEY ({_short(files.key)}) fits"
        raise TlsError(f"{named}, {what}: {in_words(error)}") from error
    return context


def fault_of(files: TlsFiles) -> str:
    """Return why there can be no TLS with these files, as a clause; empty if there can."""
    try:
        context_of(files, serves=False)
    except TlsError as error:
        return str(error)
    return ""


def fingerprint(files: TlsFiles) -> str:
    """Return by what the other end knows this machine's certificate. `context_of` has seen that it is one."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = Path(files.certificate).read_text(encoding="latin-1").partition(begin)[2].partition(end)[0]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(f"{begin}{first}{end}")).hexdigest()


def check_certificate(session: ssl.SSLObject | ssl.SSLSocket, expected: str) -> None:
    """Raise TlsError if the other end's certificate, which the authority has signed, is not the one expected."""
    if hashlib.sha256(session.getpeercert(binary_form=True) or b"").hexdigest() != expected:
        raise TlsError("its certificate is not the one that the node has told by Ray")


def in_words(error: OSError) -> str:
    """Return what went wrong with a file or a connection, as a clause."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return one_line(str(error.strerror or error), _LONGEST)


def _check_readable(variable: str, path: str) -> None:
    if not path:
        raise TlsError(f"RAY_USE_TLS is set, and {variable} is not")
    try:
        with contextlib.closing(Path(path).open("rb")) as file:
            file.read(1)
    except OSError as error:
        raise TlsError(f"{_named(variable, path)}, which cannot be read: {in_words(error)}") from error


def _named(variable: str, path: str) -> str:
    return f"{variable} names {_short(path)}"


def _short(path: str) -> str:
    return one_line(path, _LONGEST)
