"""Programs of npm and PyPI that tests install once, into a cache folder of the user and environments of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["NotInstalledError", "from_npm", "from_pypi"]

_TIMEOUT = 90
"""Seconds for one step of an installation; tests that wait for one have a timeout that is longer."""


class NotInstalledError(Exception):
    """The program cannot be had on this machine; the message says why."""


def from_npm(name: str, packages: Sequence[str]) -> tuple[str, Path]:
    """Return node, and the `node_modules` folder with the packages in it; `name` is that of the cached folder."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotInstalledError("node and npm are not installed here")

    def install(folder: Path) -> None:
        _run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *packages])

    return node, _cached(f"npm-{name}", install) / "node_modules"


def from_pypi(name: str, packages: Sequence[str]) -> Path:
    """Return the interpreter of an environment that has the packages; `name` is as in `from_npm`.

    Not installed beside what is tested: their requirements are their own. Programs are to be started as modules or
    functions of the interpreter: their scripts name the folder in which they were installed first.
    """

    def install(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages])

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return _cached(f"pypi-{name}-{version}", install) / "bin" / "python"


_failures: dict[str, str] = {}
"""Why what could not be installed could not be: tried once in a test run, as it may take long to fail."""


def _cached(name: str, install: Callable[[Path], None]) -> Path:
    """Install beside the cache and move there, so that two test runs at once do no harm."""
    if name in _failures:
        raise NotInstalledError(_failures[name])
    parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "subactors-tests"
    cache = parent / name
    if not cache.exists():
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            fresh = Path(folder) / "new"
            try:
                install(fresh)
            except NotInstalledError as error:
                _failures[name] = str(error)
                raise
            try:
                fresh.rename(cache)
            except OSError:
                assert cache.exists()  # another run was quicker
    return cache


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{Path(command[0]).name} could not install it in {_TIMEOUT} s") from None
    if done.returncode:
        raise NotInstalledError(f"{Path(command[0]).name} could not install it: {done.stderr[-300:]}")
