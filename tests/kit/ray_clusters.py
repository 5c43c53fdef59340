"""A Ray cluster of two nodes for tests, and a place that it is. No Ray is in the test's own process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from subactors.runtime.team.places import RayPlace

__all__ = ["RayCluster", "needs_ray", "ray_cluster"]

_TRIES: Final = 3
"""Times that a cluster is started: Ray waits 30 s for each of its processes, which is not enough on busy cores."""

needs_ray: Final = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="There is no Ray here: pip install 'subactors[ray]'."
)


class RayCluster:
    """A running cluster, whose nodes are `first`, the head, and `second`.

    Attributes:
        address: of its head.
    """

    def __init__(self, program: subprocess.Popen[str], address: str) -> None:
        self._program = program
        self.address = address

    @property
    def place(self) -> RayPlace:
        """The cluster as a place."""
        return RayPlace(name="cluster", address=self.address)

    def do(self, verb: str, name: str) -> str:
        """Have the program do something with a node (`ray_cluster_program`); return what it says."""
        assert self._program.stdin is not None
        self._program.stdin.write(f"{verb} {name}\n")
        self._program.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        assert line, "the cluster's program has ended"
        return line.strip()


@contextlib.contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster, which has no workers before somebody wants them. Modules are found on its nodes as here."""
    command = [sys.executable, str(Path(__file__).with_name("ray_cluster_program.py"))]
    environ = {
        **os.environ,
        "PYTHONPATH": ":".join(sys.path),
        "RAY_enable_worker_prestart": "0",
    }
    for _ in range(_TRIES):
        with subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            if address := program.stdout.readline().strip():
                yield RayCluster(program, address)
                program.stdin.close()
                return
    raise AssertionError("Ray's processes did not start.")
