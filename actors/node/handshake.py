"""Handshake: the agent's part in it, for one connection that may be the host's. It knows messages, and no socket."""

from __future__ import annotations

import hmac
import os
from typing import Final

from ..wire.node import Challenge, Control, Proof, proof_of_host, proof_of_node

__all__ = ["Handshake"]

_NONCE: Final = 32
"""Bytes of the number that proofs are about."""


class Handshake:
    """See the module.

    Args:
        token: what host and agent know.
        control: what the other end has said first.

    Attributes:
        challenge: what is answered.
    """

    def __init__(self, token: bytes, control: Control) -> None:
        nonce = os.urandom(_NONCE)
        self.challenge = Challenge(nonce, proof_of_node(token, control, nonce))
        self._token = token
        self._host_nonce = control.nonce

    def accepts(self, proof: Proof) -> bool:
        """Whether the other end has proven that it is the host."""
        expected = proof_of_host(self._token, self._host_nonce, self.challenge, proof.lease)
        return hmac.compare_digest(expected, proof.proof)
