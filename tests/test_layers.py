"""What may import what: read in the sources, and held against the maps on top of `actors` and `runtime`."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())

PUBLIC: Final = (
    "actors",
    "actors.fence",
    "actors.interrupts",
    "actors.regular_files",
    "runtime",
    "runtime.testing",
)
"""Modules of which other packages may import what is in `__all__`, and nothing else."""

EXCEPTIONS: Final = {
    ("runtime.testing", "actors.wire.messages"): "the fault kit breaks the protocol, which nothing public can do",
    ("runtime.testing", "actors.wire.frames"): "the same",
    ("benchmarks.phases", "actors.child.actor_life"): "it measures the steps of a start from inside of them",
    ("benchmarks.phases", "actors.child.life"): "the same",
    ("benchmarks.phases", "runtime.child.actor"): "the same",
    ("benchmarks.phases", "runtime.child.work"): "the same",
    ("benchmarks.costs", "runtime.runs.journal"): "it counts what is written",
    ("benchmarks.costs", "runtime.runs.schema"): "the same",
}
"""Imports of another package's private parts: importer, imported, and why."""

WITH_CODE: Final = {
    "actors": "the public names",
    "runtime": "the public names, each imported when it is used",
    "runtime.demo": "the way into the demonstration",
}
"""Packages whose `__init__` is more than a docstring."""


class Import(NamedTuple):
    """A module imports another: on top, in a function, or for types alone."""

    importer: str
    imported: str
    names: frozenset[str] = frozenset()


def _modules() -> dict[str, Path]:
    """Return all modules of ours, by names such as `runtime.team.config`."""
    paths = [path for top in ("actors", "runtime", "benchmarks") for path in sorted((ROOT / top).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


MODULES: Final = _modules()
FOLDERS: Final = [name for name, path in MODULES.items() if path.name == "__init__.py"]
OURS: Final = [name for name in FOLDERS if not name.startswith("benchmarks")]


def _imports(name: str) -> Iterator[Import]:
    """Yield what a module imports of ours."""
    package = name if name in FOLDERS else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[name].read_bytes())):
        if isinstance(node, ast.Import):
            yield from (Import(name, alias.name.removeprefix("subactors.")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])]).removeprefix("subactors.")
            modules = {alias.name for alias in node.names if f"{base}.{alias.name}" in MODULES}
            yield from (Import(name, f"{base}.{module}") for module in modules)
            if names := {alias.name for alias in node.names} - modules:
                yield Import(name, base, frozenset(names))


IMPORTS: Final = [found for name in MODULES for found in _imports(name) if found.imported in MODULES]


def part(module: str, folder: str) -> str:
    """Return which file or folder of a folder a module is in; empty: it is outside, or the folder itself."""
    return module.removeprefix(f"{folder}.").partition(".")[0] if module.startswith(f"{folder}.") else ""


def inside(folder: str) -> Iterator[tuple[str, str]]:
    """Yield which of a folder's files and folders imports which other."""
    for found in IMPORTS:
        importer, imported = part(found.importer, folder), part(found.imported, folder)
        if importer and imported and importer != imported:
            yield importer, imported


def rooms(package: str) -> list[str]:
    """Return a package's files and folders in the order of its map."""
    docstring = ast.get_docstring(ast.parse(MODULES[package].read_bytes())) or ""
    rows = re.findall(r"^ {4}((?:[a-z_]+(?:/|\.py) ?)+)  ", docstring, re.MULTILINE)
    return [name.removesuffix("/").removesuffix(".py") for row in rows for name in row.split()]


@pytest.mark.parametrize("package", ["actors", "runtime"])
def test_the_map_of_a_package_has_each_of_its_rooms_once(package: str) -> None:
    assert sorted(rooms(package)) == sorted({part(name, package) for name in MODULES} - {""})


@pytest.mark.parametrize("package", ["actors", "runtime"])
def test_a_room_imports_only_rooms_above_it_in_the_map(package: str) -> None:
    order = rooms(package)
    upward = [
        (importer, imported) for importer, imported in inside(package) if order.index(imported) > order.index(importer)
    ]

    assert upward == []


@pytest.mark.parametrize("folder", OURS)
def test_files_and_folders_import_each_other_in_no_circle(folder: str) -> None:
    needs: dict[str, set[str]] = defaultdict(set)
    for importer, imported in inside(folder):
        needs[importer].add(imported)

    graphlib.TopologicalSorter(needs).prepare()  # raises a CycleError that names the circle


def test_the_supervisor_reaches_what_tasks_use_and_leave_through_their_place_alone() -> None:
    behind = (
        "actors.host",
        "actors.linux",
        "runtime.place.local",
        "runtime.runs.folder",
        "runtime.runs.work",
        "runtime.vitals",
    )

    assert [
        found
        for found in IMPORTS
        if found.importer.startswith("runtime.supervisor.") and found.imported.startswith(behind)
    ] == []


def test_actors_know_nothing_of_the_runtime_nor_either_of_the_benchmarks() -> None:
    above = {"actors": ("runtime", "benchmarks"), "runtime": ("benchmarks",), "benchmarks": ()}

    assert [found for found in IMPORTS if found.imported.startswith(above[found.importer.partition(".")[0]])] == []


def test_no_package_imports_the_private_parts_of_another() -> None:
    across = [found for found in IMPORTS if found.importer.partition(".")[0] != found.imported.partition(".")[0]]
    private = {(found.importer, found.imported) for found in across if not _is_public(found)}

    assert private - EXCEPTIONS.keys() == set()
    assert EXCEPTIONS.keys() - private == set(), "these do not any more"


def _is_public(found: Import) -> bool:
    module = importlib.import_module(f"subactors.{found.imported}")
    return found.imported in PUBLIC and found.names <= {*module.__all__}


def test_a_folder_costs_no_import_that_nobody_asked_for() -> None:
    assert {name for name in OURS if len(ast.parse(MODULES[name].read_bytes()).body) > 1} == WITH_CODE.keys()


def test_every_folder_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert project["tool"]["setuptools"]["packages"] == sorted(f"subactors.{name}" for name in OURS)
