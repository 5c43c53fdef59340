"""Finding: makes the places of a team, each with what looks for its nodes."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..team.places import PlaceConfig, RayPlace, SshPlace
from .code import pack
from .code_store import name_of
from .messages import NodeSetup
from .place import NodePlace
from .places import Places
from .program import program_folder

if TYPE_CHECKING:
    from ...actors import ProcessSystem
    from ..place.local import LocalPlace
    from ..team.config import Team
    from .launcher import Booker, Launcher

__all__ = ["LAUNCHERS", "places_of", "require"]

_KEPT_FREE: Final = 0.08
"""Of a Ray node's memory. Where 5 % are left, Ray ends the agent, and all tasks with it, whoever has used the rest."""


def places_of(
    team: Team, here: LocalPlace, system: ProcessSystem, *, arguments: dict[str, Any], working_directory: str
) -> Places:
    """Return the places of a team, which look for their nodes from now on.

    Args:
        team: the team.
        here: the host's own machine.
        system: of the host.
        arguments: how processes are made for the team.
        working_directory: the runtime's; empty: the host's current one.

    Raises:
        RunError: the modules of the team, or of a place, cannot be sent.
        StateError: the run's folder cannot be used.
    """
    program = _program_beside(team.folders)
    # Places with the same modules are sent the same.
    code = {
        modules: {name_of(packed): packed for packed in pack(team.folders, modules, program)}
        for modules in {place.py_modules for place in team.settings.places}
    }
    launchers = _launchers(team.settings.places, arguments["withheld"], here.folder.lines)
    places: dict[str, NodePlace] = {}
    for config, (launcher, booker) in zip(team.settings.places, launchers, strict=True):
        setup = NodeSetup(
            run=here.folder.path.name,
            folder=config.folder,
            system=pickle.dumps(arguments),
            code=tuple(code[config.py_modules]),
            keeps_free=kept_free(config),
        )
        places[config.name] = NodePlace(
            config,
            launcher,
            booker=booker,
            resources={name: agent.resources for name, agent in team.agents.items() if agent.resources is not None},
            system=system,
            home=here,
            setup=msgspec.msgpack.encode(setup),
            code=code[config.py_modules],
            most_result=team.settings.max_result,
            working_directory=working_directory,
        )
    for place in places.values():
        place.begin()
    return Places(here, places)


def _program_beside(folders: tuple[str, ...]) -> str:
    """Return the folder of the program's modules; empty if it has none, or its folder is one of those."""
    program = program_folder()
    return "" if any(Path(folder).resolve() == Path(program) for folder in folders) else program


def kept_free(config: PlaceConfig) -> float:
    """Return which part of the memory of a place's nodes is kept free."""
    return _KEPT_FREE if isinstance(config, RayPlace) else 0.0


def require(places: Iterable[PlaceConfig]) -> None:
    """Raise RequirementError if something is missing here that a place needs. Nothing has been made for one then."""
    for config in places:
        if isinstance(config, SshPlace):
            from . import ssh  # noqa: PLC0415 - each place brings its own

            ssh.require(config)
        else:
            from . import ray  # noqa: PLC0415 - the same

            ray.require(config)


def _launchers(
    places: Iterable[PlaceConfig], withheld: Collection[str], folder: Path
) -> list[tuple[Launcher, Booker | None]]:
    """Return what finds the nodes of each place, and what books their resources, if something does: all, or none.

    Args:
        places: the places.
        withheld: names of variables that no program which is started for it needs.
        folder: for their files, each with a folder in it; it is made if there are any.
    """
    made: list[tuple[Launcher, Booker | None]] = []
    with contextlib.ExitStack() as undoing:
        for number, config in enumerate(places):
            launcher, booker = LAUNCHERS[type(config)](config, withheld, folder / str(number))
            undoing.callback(launcher.close)
            made.append((launcher, booker))
        undoing.pop_all()
    return made


def _by_ssh(config: SshPlace, withheld: Collection[str], folder: Path) -> tuple[Launcher, Booker | None]:
    from .ssh import SshLauncher  # noqa: PLC0415 - each place brings its own

    return SshLauncher(config, withheld, folder), None


def _by_ray(config: RayPlace, withheld: Collection[str], folder: Path) -> tuple[Launcher, Booker | None]:
    from .ray import RayLauncher  # noqa: PLC0415 - the same

    launcher = RayLauncher(config, withheld, folder)
    return launcher, launcher


LAUNCHERS: Final[dict[type[PlaceConfig], Callable[[Any, Collection[str], Path], tuple[Launcher, Booker | None]]]] = {
    SshPlace: _by_ssh,
    RayPlace: _by_ray,
}
"""Make, for each kind of place, what finds its nodes, and what books their resources, if something does.

They are given the place, names of variables that nobody is to see in what they start, and a folder for files, which is
made if there are any. Benchmarks put one in that has nodes of its own.
"""
