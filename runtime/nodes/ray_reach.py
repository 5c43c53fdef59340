"""Ray reach: asks the head of a Ray cluster whether it answers, and with TLS or without, as this machine has it.

Ray itself tries a minute where that differs, and then names no reason.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Final

from ..errors import RunError
from .tls import TlsError, context_of, in_words
from .tls_files import TlsFiles

__all__ = ["found_address", "reach"]

_PATIENCE: Final = 3.0
"""Seconds that each of connecting and answering may take."""

_OPENING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a client of HTTP/2 begins, as gRPC does: it has no settings of its own."""

_HEAD: Final = 9
_KIND: Final = 3
_SETTINGS: Final = 4
"""Bytes of a frame before what it carries, which of them says its kind, and the kind that a server's first has."""


def found_address(given: str, environ: Mapping[str, str]) -> str:
    """Return the address of a cluster as `ray.init` takes it, which never starts one then.

    It is HOST:PORT also where the place has `auto`, as far as Ray can tell: it looks at this machine's processes, and
    at what it remembers. Imports Ray for that.

    Raises:
        OSError: Ray knows no cluster of this machine.
    """
    if given not in {"", "auto"}:
        return given
    if address := environ.get("RAY_ADDRESS"):
        return address
    try:
        from ray._private.services import canonicalize_bootstrap_address  # noqa: PLC0415 - private, and may go
    except ImportError:
        return "auto"
    return canonicalize_bootstrap_address("auto") or "auto"


def reach(address: str, files: TlsFiles | None) -> None:
    """Return once a head has answered; at once where the address names no port.

    Args:
        address: HOST:PORT of the head.
        files: for TLS; None: Ray has none here.

    Raises:
        OSError: nothing takes connections there.
        RunError: what does is no head with which Ray could speak from here; the message is a clause that says why.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return
    where = (host.strip("[]"), int(port))
    if files is not None:
        _greet_with_tls(where, files)
    elif not _greet(where):
        if _has_tls(where):
            raise RunError("it answers with TLS, and Ray has none here: set RAY_USE_TLS and Ray's files as there")
        raise RunError(f"something takes connections there, and has not answered as Ray does within {_PATIENCE:g} s")


def _greet(where: tuple[str, int]) -> bool:
    """Return whether a head without TLS answers."""
    with socket.create_connection(where, _PATIENCE) as channel:
        try:
            return _is_answered(channel)
        except OSError:  # it has closed the connection, or says nothing
            return False


def _has_tls(where: tuple[str, int]) -> bool:
    """Return whether what listens there begins with TLS, whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(where, _PATIENCE) as channel:
        try:
            context.wrap_socket(channel).close()
        except OSError as error:
            # It speaks TLS, too, if it refuses us in TLS, as we show no certificate.
            return isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
    return True


def _greet_with_tls(where: tuple[str, int], files: TlsFiles) -> None:
    try:
        context = context_of(files, serves=False)
    except TlsError as error:
        raise RunError(str(error)) from error
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(where, _PATIENCE) as channel:
        try:
            with context.wrap_socket(channel) as session:
                if _is_answered(session):
                    return
        except ssl.SSLCertVerificationError as error:
            raise RunError(f"{in_words(error)}; check that RAY_TLS_CA_CERT is that of the cluster") from error
        except OSError as error:
            if _greet(where):
                raise RunError(
                    "it answers without TLS, and RAY_USE_TLS is set here: set it as there, on all machines or on none"
                ) from error
            raise RunError(
                f"it does not take this machine for one of its own ({in_words(error)}); check that "
                "RAY_TLS_SERVER_CERT is signed as the cluster's"
            ) from error
    raise RunError("it has TLS, and has not answered as Ray does; check RAY_TLS_SERVER_CERT and RAY_TLS_CA_CERT")


def _is_answered(channel: socket.socket) -> bool:
    """Return whether a server of HTTP/2 answers; raises OSError."""
    channel.sendall(_OPENING)
    head = b""
    while len(head) < _HEAD:
        more = channel.recv(_HEAD - len(head))
        if not more:
            return False
        head += more
    return head[_KIND] == _SETTINGS
