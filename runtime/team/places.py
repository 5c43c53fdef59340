"""Places: machines other than the host's own, on which tasks can run; frozen data, as a team file has it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["PlaceConfig", "Placement", "RayPlace", "Resources", "SshPlace"]


Placement: TypeAlias = Literal["spread", "pack"]


class SshPlace(msgspec.Struct, frozen=True, kw_only=True, tag="ssh"):
    """Machines that are reached by ssh, each a node.

    Attributes:
        name: its key under `places`.
        hosts: the machines, as ssh takes them: `box1`, `alice@box2`, a name from its configuration.
        python: the interpreter there that has this package, of this version.
        options: further arguments of ssh, such as `-i`, `key`.
        workdir: folder there in which tasks with `workdir: shared` work; empty: the one that has the host's path.
        folder: where the node keeps its files; empty: the state folder of its user.
        placement: whether tasks go to the node that has the fewest (`spread`), or to the fullest that has room
            (`pack`).
        max_tasks: how many tasks a node has at a time; None: any number. Further ones wait for a node.
        py_modules: paths here of what nodes are sent beside the modules of team and program: packages, which are
            folders with an `__init__.py`; other folders, whose modules are found; and single files that end in `.py`.
    """

    name: str
    hosts: tuple[str, ...]
    python: str = "python3"
    options: tuple[str, ...] = ()
    workdir: str = ""
    folder: str = ""
    placement: Placement = "spread"
    max_tasks: int | None = None
    py_modules: tuple[str, ...] = ()


class RayPlace(msgspec.Struct, frozen=True, kw_only=True, tag="ray"):
    """The nodes of a Ray cluster.

    Attributes:
        name: its key under `places`.
        address: of the cluster, as `ray.init` takes it; `auto`: that of this machine.
        workdir: as of `SshPlace`.
        folder: as of `SshPlace`.
        placement: as of `SshPlace`.
        max_tasks: as of `SshPlace`.
        py_modules: as of `SshPlace`.
    """

    name: str
    address: str = "auto"
    workdir: str = ""
    folder: str = ""
    placement: Placement = "spread"
    max_tasks: int | None = None
    py_modules: tuple[str, ...] = ()


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What each task of an agent books of a Ray cluster; None: nothing. Ray counts it, and holds nobody to it.

    Attributes:
        cpu: processors.
        gpu: graphics processors: a part of one, or whole ones.
        memory: bytes.
        custom: resources by names that the cluster's nodes have given them.
    """

    cpu: float | None = None
    gpu: float | None = None
    memory: int | None = None
    custom: dict[str, float] = {}


PlaceConfig: TypeAlias = SshPlace | RayPlace
