"""Versions: what a host and its nodes must have the same of, as what the host sends is pickled."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

from ..wire.node import Versions

__all__ = ["difference", "own_versions"]


def own_versions() -> Versions:
    """Return what a node's agent must have the same of."""
    return Versions(version("subactors"), platform.python_version(), sys.implementation.name)


def difference(theirs: Versions) -> str:
    """Return what a node has another version of, and what to do; empty if nothing."""
    ours = own_versions()
    if theirs.package != ours.package:
        return f"it has subactors {theirs.package}, and this host {ours.package}: install the same there"
    if theirs.implementation != ours.implementation or _minor(theirs.python) != _minor(ours.python):
        return (
            f"it has {theirs.implementation} {theirs.python}, and this host {ours.implementation} {ours.python}: "
            f"choose a Python {_minor(ours.python)} there"
        )
    return ""


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])
