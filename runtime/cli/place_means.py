"""Place means: what the places of a team need, as `doctor` finds it: programs and packages here, hosts that answer.

It asks hosts, and heads of clusters, only where the user says so. On a host it runs nothing but the interpreter, for
its version.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from ..errors import RunError
from ..nodes.greeting import behind, complaint
from ..nodes.last_words import first_and_last_line
from ..nodes.tls_files import TlsFiles, tls_files_of
from ..team.places import PlaceConfig, RayPlace, SshPlace
from ..text import duration, one_line
from .means import Finding

__all__ = ["lack_of", "place_findings"]

_PATIENCE: Final = 20.0
"""Seconds that one host has to answer."""

_AT_ONCE: Final = 16
"""Hosts that are asked at the same time."""

_OPTIONS: Final = (*("-o", "BatchMode=yes"), *("-o", "ConnectTimeout=10"), *("-o", "ForwardAgent=no"))
"""That nobody is asked for a password, as when tasks are to run there."""

_OF_SSH: Final = 255
"""Exit status of ssh where it could not have the command run."""

_ENCRYPTED: Final = "what host and nodes say to each other is encrypted"
_READABLE: Final = (
    "whoever can read the network between the machines can read what tasks are told and say, keys included"
)

_PROGRAM: Final = """\
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
try:
    ours = version("subactors")
except PackageNotFoundError:
    ours = ""
print("\\0subactors-node", flush=True)
print(json.dumps([platform.python_version(), sys.implementation.name, ours]))
"""


def lack_of(place: PlaceConfig) -> str:
    """Return what this machine lacks to reach a place, as the end of a sentence; empty if nothing."""
    if isinstance(place, SshPlace):
        lacks = shutil.which("ssh") is None
        return "is reached by ssh, and there is no program ssh here: install OpenSSH's client" if lacks else ""
    lacks = importlib.util.find_spec("ray") is None
    return "is a Ray cluster, and Ray is not installed here: pip install 'subactors[ray]'" if lacks else ""


def place_findings(places: tuple[PlaceConfig, ...], *, ping: bool) -> Iterator[Finding]:
    """Yield what each place needs, and whether it is there.

    Args:
        places: of a team.
        ping: whether to ask the hosts of places that are reached by ssh, and the heads of clusters.
    """
    for place in places:
        if lack := lack_of(place):
            yield Finding(f"place {place.name}", "!!", lack)
        elif isinstance(place, SshPlace):
            yield from _of_ssh(place, ping=ping)
        else:
            yield from _of_ray(place, os.environ, ping=ping)


def _of_ssh(place: SshPlace, *, ping: bool) -> Iterator[Finding]:
    what = f"place {place.name}"
    ssh = shutil.which("ssh") or "ssh"
    yield Finding(what, "ok", f"is reached by {ssh}")
    yield Finding(f"{what}, line", "ok", f"ssh: {_ENCRYPTED}; the nodes are known by their keys")
    if not ping:
        asks = "`subactors doctor TEAM --ping` does so, and compares versions"
        yield Finding(f"{what}, hosts", "--", f"{one_line(', '.join(place.hosts), 200)}: not asked; {asks}")
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda host: _of_host(ssh, place, host), place.hosts)


def _of_host(ssh: str, place: SshPlace, host: str) -> Finding:
    what = f"place {place.name}, {one_line(host, 100)}"
    command = f"{shlex.quote(place.python)} -c {shlex.quote(_PROGRAM)}"
    began = time.monotonic()
    try:
        done = subprocess.run(
            [ssh, *_OPTIONS, *place.options, "--", host, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding(what, "!!", f"has not answered within {_PATIENCE:g} s")
    except OSError as error:
        return Finding(what, "!!", f"{ssh} cannot be run: {error.strerror or error}")
    try:
        # What a shell's start-up files print comes first, and is skipped as where tasks are to run there.
        python, implementation, ours = json.loads(behind(done.stdout) or b"")
    except ValueError:
        said = first_and_last_line(done.stderr) or complaint(done.stdout) or f"it ended with status {done.returncode}"
        fault = "cannot be reached" if done.returncode == _OF_SSH else f"{place.python} cannot be run there"
        return Finding(what, "!!", f"{fault}: {one_line(said, 300)}")
    fault = _fault(str(python), str(implementation), str(ours))
    if fault:
        return Finding(what, "!!", f"{fault}; `python` of the place may name another interpreter")
    took = duration(time.monotonic() - began)
    return Finding(what, "ok", f"answers after {took}, with Python {python} and subactors {ours}")


def _fault(python: str, implementation: str, ours: str) -> str:
    """Return what is wrong with an interpreter of another machine; empty if nothing is."""
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    if implementation != sys.implementation.name or python.rpartition(".")[0] != minor:
        return f"has {implementation} {python}, and needs {sys.implementation.name} {minor}, as here"
    here = _own_version()
    if not ours:
        return f"has Python {python} without subactors, and needs version {here}, as here"
    return f"has subactors {ours}, and needs {here}, as here" if ours != here else ""


def _own_version() -> str:
    try:
        return version("subactors")
    except PackageNotFoundError:  # it was never installed, only put on the path
        return ""


def _of_ray(place: RayPlace, environ: Mapping[str, str], *, ping: bool) -> Iterator[Finding]:
    what = f"place {place.name}"
    address = environ.get("RAY_ADDRESS", "") if place.address == "auto" else place.address
    where = f"the cluster at {one_line(address, 100)}" if address else "the cluster that this machine is part of"
    python = platform.python_version()
    yield Finding(what, "ok", f"is {where}, by Ray {version('ray')}; its nodes need that, and Python {python}, too")
    files = tls_files_of(environ)
    yield _line_of_ray(f"{what}, line", files)
    if ping:
        yield _head_of_ray(f"{what}, head", place, environ, files)
    else:
        asks = "`subactors doctor TEAM --ping` does so"
        yield Finding(f"{what}, head", "--", f"not asked whether it answers; {asks}")


def _head_of_ray(what: str, place: RayPlace, environ: Mapping[str, str], files: TlsFiles | None) -> Finding:
    """Return whether the head of a cluster answers, as it is asked when tasks are to run there."""
    from ..nodes.ray_reach import found_address, reach  # noqa: PLC0415 - it brings TLS, and Ray

    began = time.monotonic()
    try:
        address = found_address(place.address, environ)
    except OSError:
        remedy = "join one with `ray start --address=HOST:6379 --num-cpus=0`, or set the place's `address`"
        return Finding(what, "!!", f"there is no Ray cluster on this machine: {remedy}")
    where = one_line(address, 100)
    try:
        reach(address, files)
    except (OSError, RunError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        return Finding(what, "!!", f"the cluster at {where} cannot be connected to: {one_line(str(why), 300)}")
    return Finding(what, "ok", f"{where} answers after {duration(time.monotonic() - began)}")


def _line_of_ray(what: str, files: TlsFiles | None) -> Finding:
    """Return what the line to the nodes is; None: Ray has no TLS."""
    if files is None:
        remedy = "Keep it to a network of your own, or give Ray TLS (RAY_USE_TLS), which is used then"
        return Finding(what, "--", f"plain: {_READABLE}. {remedy}")
    from ..nodes.tls import fault_of  # noqa: PLC0415 - most have none

    if fault := fault_of(files):
        return Finding(what, "!!", f"TLS, which cannot be: {fault}")
    how = "both ends show certificates of the authority that RAY_TLS_CA_CERT names"
    return Finding(what, "ok", f"TLS: {_ENCRYPTED}; {how}")
