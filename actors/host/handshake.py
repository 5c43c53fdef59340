"""Handshake: the host's part in it, for one node, and the proofs of its later connections. It knows no socket."""

from __future__ import annotations

import hmac
import os
from typing import Final, TypeVar

from ..errors import ProtocolError
from ..wire.node import (
    LEASE,
    Challenge,
    Control,
    Fetch,
    Opening,
    Proof,
    encode_node,
    entered,
    proof_of_host,
    proof_of_node,
    proven,
)

__all__ = ["HostHandshake"]

_First = TypeVar("_First", Opening, Fetch)

_NONCE: Final = 32
"""Bytes of the number that proofs are about."""


class HostHandshake:
    """See the module.

    Args:
        token: what host and node know.

    Attributes:
        hello: what the host says first.
        is_answered: whether the node has proven what it is.
    """

    def __init__(self, token: bytes) -> None:
        self.hello = Control(os.urandom(_NONCE))
        self.is_answered = False
        self._token = token
        self._nonce = b""

    def answer(self, challenge: Challenge) -> Proof:
        """Return what the host says to what the node has answered; raises ProtocolError if that proves nothing."""
        if not hmac.compare_digest(proof_of_node(self._token, self.hello, challenge.nonce), challenge.proof):
            raise ProtocolError("no proof that it is the agent that was started")
        self._nonce = challenge.nonce
        self.is_answered = True
        return Proof(proof_of_host(self._token, self.hello.nonce, challenge, LEASE), LEASE)

    def proven(self, first: _First) -> _First:
        """Return what a later connection begins with, with its proof."""
        return proven(first, self._token, self._nonce)

    def entered(self, opening: Opening) -> bytes:
        """Return what the node says first on a process's connection over a network."""
        return encode_node(entered(opening, self._token))
