"""Private names of CPython and of libraries: each that the product uses is listed here, with its reason.

A name that is one of ours as well is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from sources import parsed

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())

HOOKS: Final = "cpython.py"
"""The module of most of them, which tells of each name since when it is there. The others are where they are used."""

USES: Final[dict[str, dict[str, str]]] = {
    "actors/actor.py": {"_ActorStop": "pykka's message to stop, which a reference sends"},
    "actors/child/actor_life.py": {"_ActorStop": "the same, for a stop that comes over the channel"},
    "actors/child/identity.py": {
        "_current_process": "what `current_process()` returns; since 2.6",
        "_parent_process": "what `parent_process()` returns; since 3.8",
        "_ParentProcess": "the class of what that returns; since 3.8",
    },
    "actors/child/tracker.py": {
        "_resource_tracker": "what the module's functions are methods of; since 3.4",
        "_fd": "leads to the tracker that the host has given; since 3.4",
    },
    "actors/context/child.py": {
        "_bootstrap": "runs a process with each start method; since 2.6",
        "_concrete_contexts": "where start methods are looked up by name; since 3.4",
        "_fd": "leads to the host's tracker; since 3.4",
    },
    "actors/context/pool.py": {
        "_inqueue": "what a pool's workers take their tasks from; since 2.6",
        "_writer": "its end for the pool; since 2.6",
    },
    "actors/context/zygote_context.py": {
        "_check_closed": "what each method of a process does first; since 3.7",
        "_flush_std_streams": "what each start method does first",
    },
    "actors/wire/inheritance.py": {
        "_extra_reducers": "what `multiprocessing` knows to pickle; since 3.4",
        "_fd": "leads to the tracker; since 3.4",
    },
    "actors/wire/reply.py": {"_get_hook": "of pykka's futures: what `map` and `filter` have put before the answer"},
    "runtime/child/current.py": {"_initializing": "of a module's spec: whether it is being imported now; since 3.3"},
    "runtime/models/openai/client.py": {"_platform": "of openai's client, which else finds it out in a thread"},
    "runtime/toolsets/filesystem/files.py": {"_ScandirIterator": "in an annotation: typeshed's name for it"},
}
"""By file: the name, what it is for, and since which Python it is there where that was looked up.

All are in CPython 3.11 to 3.13, pykka 4 and openai 3. What is documented for subclasses is not listed.
"""


def _ours(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield what a module of ours defines: functions, classes, variables, attributes."""
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name


def _used(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names of attributes that a module uses, those too that a text names."""
    for node in nodes:
        match node:
            case ast.Attribute(attr=name):
                yield name
            case ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]):
                yield name


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_each_private_name_of_others_is_listed_with_its_reason() -> None:
    used: dict[str, set[str]] = {}
    known = {"_asdict", "_replace", "_fields", "_make"}  # a named tuple's methods are public all the same
    for path, nodes in parsed(ROOT / "actors", ROOT / "runtime", but=HOOKS):
        used[path.relative_to(ROOT).as_posix()] = {*filter(_is_private, _used(nodes))}
        known.update(_ours(nodes))

    found = {path: names - known for path, names in used.items()}
    assert {path: names for path, names in found.items() if names} == {path: {*names} for path, names in USES.items()}
