"""Nodes: subactors whose tasks run on a node, which is this machine as if it were another."""

from __future__ import annotations

import contextlib
from typing import Any

from ..loopback import Place, missing_openssl, missing_ray, missing_ssh, ray_place, ssh_place, tcp_place, tls_place
from .subactors_runtime import Subactors

__all__ = ["OnRay", "OverSsh", "OverTcp", "OverTls"]


class _OnNode(Subactors):
    """The runtime, with all tasks on one node."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = contextlib.ExitStack()

    def place(self, steps: contextlib.ExitStack) -> Place:
        """Return the place, for as long as the steps are open."""
        raise NotImplementedError

    def open(self, tasks: int = 1, **settings: Any) -> None:
        """Make the node and the runtime, and have it run one task."""
        place = self.place(self._steps)
        super().open(tasks, places={"cluster": place}, place="cluster", **settings)

    def close(self) -> None:
        """Close the runtime, and then what serves the node."""
        super().close()
        self._steps.close()


class OverTcp(_OnNode):
    """A node whose agent takes connections over TCP, as on Ray."""

    name = "node-tcp"
    title = "node over TCP"

    def place(self, steps: contextlib.ExitStack) -> Place:
        """See `_OnNode`."""
        return steps.enter_context(tcp_place())[0]


class OverTls(_OnNode):
    """The same with TLS, as on a Ray cluster that has it: what is said goes through a relay at each end."""

    name = "node-tls"
    title = "node over TLS"

    @classmethod
    def missing(cls) -> str:
        """Only where certificates can be made."""
        return missing_openssl()

    def place(self, steps: contextlib.ExitStack) -> Place:
        """See `_OnNode`."""
        return steps.enter_context(tls_place())


class OverSsh(_OnNode):
    """A node by ssh: what is said goes through two programs that encrypt and decrypt it."""

    name = "node-ssh"
    title = "node by ssh"

    @classmethod
    def missing(cls) -> str:
        """Only where there is OpenSSH."""
        return missing_ssh()

    def place(self, steps: contextlib.ExitStack) -> Place:
        """See `_OnNode`."""
        return steps.enter_context(ssh_place())


class OnRay(_OnNode):
    """A node of a Ray cluster."""

    name = "node-ray"
    title = "node of a Ray cluster"

    @classmethod
    def missing(cls) -> str:
        """Only where there is Ray."""
        return missing_ray()

    def place(self, steps: contextlib.ExitStack) -> Place:
        """See `_OnNode`."""
        return steps.enter_context(ray_place())
