"""What may import what: read in the sources, and held against the maps on top of `actors` and `runtime`.

`tests/kit/import_reader.py` reads them; the last tests try to fool it. The type checker runs from here, too: it takes
longest, and xdist begins with the files that have many tests.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest
import subactors.actors
from import_reader import COMPUTED, Import, imports_of
from sources import no_collection

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
    ("benchmarks.top", "runtime.top.app"): "it measures the screen itself",
    ("benchmarks.costs", "runtime.runs.journal"): "it counts what is written",
    ("benchmarks.costs", "runtime.runs.schema"): "the same",
    ("benchmarks.loopback", "runtime.nodes.finding"): "it finds a place's nodes in its own way",
    ("benchmarks.loopback", "runtime.nodes.launcher"): "the same",
    ("benchmarks.loopback", "runtime.nodes.tls_files"): "the same",
    ("benchmarks.loopback", "runtime.nodes.tls_lines"): "the same",
    ("benchmarks.watching", "actors.host.io"): "it is a host whose tasks are made up",
    ("benchmarks.watching", "runtime.control.server"): "the same",
    ("benchmarks.watching", "runtime.models.base"): "the same",
    ("benchmarks.watching", "runtime.runs.folder"): "the same",
    ("benchmarks.watching", "runtime.runs.journal"): "the same",
    ("benchmarks.watching", "runtime.tasks.changes"): "the same",
    ("benchmarks.watching", "runtime.tasks.views"): "the same",
    ("benchmarks.watching", "runtime.tasks.watching"): "the same",
    ("benchmarks.watching", "runtime.watching.watcher"): "the same",
}
"""Imports of another package's private parts: importer, imported, and why."""

WITH_CODE: Final = {
    "actors": "the public names",
    "runtime": "the public names, each imported when it is used",
    "runtime.demo": "the way into the demonstration",
}
"""Packages whose `__init__` is more than a docstring."""


COMPUTING: Final = {
    "actors": "its public names",
    "runtime": "its public names",
    "actors.zygote.loading": "what a host has its zygote preload",
    "actors.context.main_module": "the program of a host that uses `multiprocessing`",
    "actors.wire.singletons": "the module of a singleton that comes from the host",
    "runtime.models.openai.library": "what it has put off to import",
    "runtime.team.references": "what a team file names",
    "runtime.telemetry.wanted": "the exporter for the protocol of OTLP that the environment names",
    "runtime.toolsets.build": "the toolset beside it that a row of `team/toolset_kinds` names",
    "benchmarks.contenders": "the contender beside it that its table names",
}
"""Modules that import by a name that they compute, and what that names."""


def _modules() -> dict[str, Path]:
    """Return all modules of ours, by names such as `runtime.team.config`."""
    paths = [path for top in ("actors", "runtime", "benchmarks") for path in sorted((ROOT / top).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


MODULES: Final = _modules()
FOLDERS: Final = [name for name, path in MODULES.items() if path.name == "__init__.py"]
OURS: Final = [name for name in FOLDERS if not name.startswith("benchmarks")]


def _imports(name: str) -> list[Import]:
    return imports_of(name, MODULES[name].read_text(encoding="utf-8"), MODULES, is_folder=name in FOLDERS)


@functools.cache
def all_imports() -> list[Import]:
    """Return all imports of ours. They take a while to read, so not where the tests are only counted."""
    with no_collection():
        return [found for name in MODULES for found in _imports(name)]


def part(module: str, folder: str) -> str:
    """Return which file or folder of a folder a module is in; `__init__`: the folder itself; empty: it is outside."""
    if module == folder:
        return "__init__"
    return module.removeprefix(f"{folder}.").partition(".")[0] if module.startswith(f"{folder}.") else ""


def inside(folder: str, imports: Iterable[Import] | None = None) -> Iterator[tuple[str, str]]:
    """Yield which of a folder's files and folders imports which other."""
    for found in all_imports() if imports is None else imports:
        importer, imported = part(found.importer, folder), part(found.imported, folder)
        if importer and imported and importer != imported:
            yield importer, imported


def upward(package: str, imports: Iterable[Import] | None = None) -> list[tuple[str, str]]:
    """Return the imports inside a package that go up its map, on whose top is the package's own `__init__`."""
    order = [*rooms(package), "__init__"]
    return [
        (importer, imported)
        for importer, imported in inside(package, imports)
        if order.index(imported) > order.index(importer)
    ]


def private(imports: Iterable[Import] | None = None) -> set[tuple[str, str]]:
    """Return what packages import of others that is not public."""
    ours = [found for found in (all_imports() if imports is None else imports) if found.imported != COMPUTED]
    across = [found for found in ours if found.importer.partition(".")[0] != found.imported.partition(".")[0]]
    return {(found.importer, found.imported) for found in across if not _is_public(found)}


def rooms(package: str) -> list[str]:
    """Return a package's files and folders in the order of its map."""
    docstring = ast.get_docstring(ast.parse(MODULES[package].read_bytes())) or ""
    rows = re.findall(r"^ {4}((?:[a-z_]+(?:/|\.py) ?)+)  ", docstring, re.MULTILINE)
    return [name.removesuffix("/").removesuffix(".py") for row in rows for name in row.split()]


@pytest.mark.parametrize("package", ["actors", "runtime"])
def test_the_map_of_a_package_has_each_of_its_rooms_once(package: str) -> None:
    assert sorted(rooms(package)) == sorted({part(name, package) for name in MODULES} - {"", "__init__"})


@pytest.mark.parametrize("package", ["actors", "runtime"])
def test_a_room_imports_only_rooms_above_it_in_the_map(package: str) -> None:
    assert upward(package) == []


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
        for found in all_imports()
        if found.importer.startswith("runtime.supervisor.") and found.imported.startswith(behind)
    ] == []


def test_actors_know_nothing_of_the_runtime_nor_either_of_the_benchmarks() -> None:
    above = {"actors": ("runtime", "benchmarks"), "runtime": ("benchmarks",), "benchmarks": ()}

    assert [
        found for found in all_imports() if found.imported.startswith(above[found.importer.partition(".")[0]])
    ] == []


def test_no_package_imports_the_private_parts_of_another() -> None:
    assert private() - EXCEPTIONS.keys() == set()
    assert EXCEPTIONS.keys() - private() == set(), "these do not any more"


def test_what_is_imported_by_a_computed_name_is_listed() -> None:
    assert {found.importer for found in all_imports() if found.imported == COMPUTED} == COMPUTING.keys()


def _is_public(found: Import) -> bool:
    module = importlib.import_module(f"subactors.{found.imported}")
    return found.imported in PUBLIC and found.names <= {*module.__all__}


def test_a_folder_costs_no_import_that_nobody_asked_for() -> None:
    assert {name for name in OURS if len(ast.parse(MODULES[name].read_bytes()).body) > 1} == WITH_CODE.keys()


def test_every_folder_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert project["tool"]["setuptools"]["packages"] == sorted(f"subactors.{name}" for name in OURS)


# --- types ----------------------------------------------------------------------------------------------------------

PATIENCE_WITH_TYPES: Final = 300.0
"""Seconds for the type checker, which begins with nothing remembered and keeps nothing, on a machine that is busy."""


@pytest.mark.timeout(PATIENCE_WITH_TYPES + 20)
def test_the_type_checker_finds_nothing_in_what_is_installed(tmp_path: Path) -> None:
    environ = {**os.environ, "MYPY_CACHE_DIR": os.devnull}  # to write one for nobody takes a fifth of the time
    if Path(subactors.actors.__file__).parent == ROOT / "actors":
        # Installed to be edited: it cannot follow that, but finds links by their names.
        for package in ("actors", "runtime"):
            (tmp_path / "linked" / "subactors").mkdir(parents=True, exist_ok=True)
            (tmp_path / "linked" / "subactors" / package).symlink_to(ROOT / package)
        environ["MYPYPATH"] = str(tmp_path / "linked")

    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")),
            *("-p", "subactors.actors", "-p", "subactors.runtime"),
        ],
        cwd=tmp_path,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_WITH_TYPES,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Success: no issues found in ")


# --- the reader is not fooled ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("actors.wire.cheat", "from .. import ProcessSystem"),
        ("actors.wire.cheat", "from subactors.actors import ProcessSystem"),
        ("actors.wire.cheat", "from subactors.actors import host"),
        ("actors.wire.cheat", "from subactors import actors\nactors.ProcessSystem"),
        ("actors.wire.cheat", "from ... import actors\nactors.host.system.ProcessSystem"),
        ("actors.wire.cheat", "import subactors.actors.linux.kernel\nsubactors.actors.host.io.READ"),
        ("actors.wire.cheat", "import subactors\nsubactors.actors.supervisor"),
        ("actors.wire.cheat", "import importlib\nimportlib.import_module('subactors.actors.host.io').READ"),
        ("actors.wire.cheat", "from importlib import import_module\nimport_module('..host.io', __package__)"),
        ("actors.wire.cheat", "from importlib import import_module\nimport_module('..host', 'subactors.actors.wire')"),
        ("actors.wire.cheat", "__import__('subactors.actors.host.io')"),
        ("actors.wire.cheat", "__import__('subactors').actors.host.io.READ"),
        ("actors.wire.cheat", "import sys\nsys.modules['subactors.actors.host.io'].READ"),
        ("actors.wire.cheat", "import sys\nsys.modules.get('subactors.actors.host.io')"),
        ("actors.wire.cheat", "import subactors.actors.linux as low\nfrom .. import host as low"),
        ("actors.wire.cheat", "def late():\n    from ..zygote import setup"),
        ("runtime.team.cheat", "from .. import Runtime"),
        ("runtime.team.cheat", "from ... import runtime\nruntime.Runtime"),
        ("runtime.team.cheat", "from subactors import runtime"),
        ("runtime.team.cheat", "from subactors.runtime import *"),
    ],
)
def test_an_import_up_the_map_is_seen_whatever_it_looks_like(module: str, source: str) -> None:
    assert upward(module.partition(".")[0], imports_of(module, source, MODULES)) != []


@pytest.mark.parametrize(
    "source",
    [
        "from subactors import actors\nactors.host.io.READ",
        "from ... import actors\nactors.wire.frames.encode_frame",
        "from ...actors import host",
        "from ...actors import interrupts\ninterrupts.threading",
        "import subactors.actors\nsubactors.actors.host.io.READ",
        "import subactors.actors as below\nbelow.host",
        "from subactors import actors\ngetattr(actors, 'host').io",
        "import importlib\nimportlib.import_module('subactors.actors').host.io",
        "import importlib\nimportlib.import_module(name='subactors.actors.host.io')",
        "__import__('subactors.actors').actors.wire",
        "import runpy\nrunpy.run_module('subactors.actors.zygote')",
        "import pkgutil\npkgutil.resolve_name('subactors.actors.host.io:READ')",
        "from subactors.actors.interrupts import *",
    ],
)
def test_a_private_part_is_seen_however_it_is_reached(source: str) -> None:
    assert private(imports_of("runtime.team.cheat", source, MODULES)) != set()


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nimportlib.import_module('.'.join(['subactors', 'actors']))",
        "from importlib import import_module as get\nget('subactors.actors.host')",
        "import importlib\nget = importlib.import_module\nget('subactors.actors.host')",
        "__import__(f'subactors.{1}')",
    ],
)
def test_an_import_by_a_name_that_cannot_be_read_is_seen_as_one(source: str) -> None:
    assert Import("runtime.team.cheat", COMPUTED) in imports_of("runtime.team.cheat", source, MODULES)


def test_what_is_public_may_be_used_however_it_is_reached() -> None:
    source = """
import subactors.actors.interrupts
from subactors import actors
from ...actors import ProcessSystem, fence, interrupts
from . import config
from .. import errors, text

fence.call_fenced
actors.ProcessSystem
subactors.actors.interrupts.acquire
config.anything_of_its_own_package
"""

    found = imports_of("runtime.team.cheat", source, MODULES)
    assert {each.imported for each in found} == {
        *("actors", "actors.fence", "actors.interrupts", "runtime.team.config", "runtime.errors", "runtime.text")
    }
    assert upward("runtime", found) == []
    assert private(found) == set()
