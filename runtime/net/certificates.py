"""Certificates: the trusted authorities, loaded once for all clients of a process.

Loading them is most of what a client costs. Tasks inherit those that the zygote has loaded.
"""

from __future__ import annotations

import functools
import os
import ssl

import httpx2

__all__ = ["authorities", "no_authorities"]


def authorities() -> ssl.SSLContext:
    """Return what lets those servers pass that an authority vouches for, as SSL_CERT_FILE and SSL_CERT_DIR have it."""
    return _authorities(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")))


@functools.lru_cache(maxsize=1)
def _authorities(file: str | None, folder: str | None) -> ssl.SSLContext:
    del file, folder  # read by the library: they are here so that another value makes another context
    return httpx2.create_ssl_context()


@functools.lru_cache(maxsize=1)
def no_authorities() -> ssl.SSLContext:
    """Return what lets no server pass, for those without TLS; making it costs a millisecond, so one does for all."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
