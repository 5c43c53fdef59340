"""Places whose nodes never come: ssh is there, and whom it asks does not answer, or cannot be found."""

from __future__ import annotations

import shutil
from typing import Final

import pytest
from subactors.runtime import SshPlace

__all__ = ["needs_ssh", "silent_place", "unknown_place"]

needs_ssh: Final = pytest.mark.skipif(shutil.which("ssh") is None, reason="There is no ssh here.")


def silent_place(name: str = "far") -> SshPlace:
    """A place of one host whose line is open, and says nothing."""
    return SshPlace(name=name, hosts=("box1",), options=("-F", "none", "-o", "ProxyCommand=cat 3>&1 >/dev/null"))


def unknown_place(name: str = "gone") -> SshPlace:
    """A place of one host that no name service knows."""
    return SshPlace(name=name, hosts=("no-such-host.invalid",), options=("-F", "none"))
