"""The kit's other networks: nothing of one stays that could not be made whole."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import other_networks
import pytest
from other_networks import needs_namespaces, other_network, slow_line


@needs_namespaces
def test_no_network_stays_whose_line_could_not_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    real = other_networks._ip

    def without_addresses(*arguments: str) -> None:
        if "addr" in arguments:
            raise subprocess.CalledProcessError(1, arguments, stderr=b"no addresses today")
        real(*arguments)

    monkeypatch.setattr(other_networks, "_ip", without_addresses)
    with pytest.raises(subprocess.CalledProcessError), other_network():
        pass

    assert not Path(f"/run/netns/subactors{os.getpid()}").exists()


def test_a_slow_line_that_does_not_begin_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_networks, "_PATIENCE", 0.1)
    monkeypatch.setattr(other_networks.asyncio, "run", lambda serve: serve.close())

    with pytest.raises(AssertionError, match="does not begin"), slow_line(1, delay=0.0, rate=1.0):
        pass
