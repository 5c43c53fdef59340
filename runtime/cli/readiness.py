"""Readiness: which agents of a team would run here, which would not, and why; for `check`, which runs nothing.

It looks at files and the environment. It reads the source of entrypoints and never imports it, nor a package above it.
An agent without a complaint here may fail all the same.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from ...actors.regular_files import open_to_read
from ..agent.prompt_files import find_prompt_files
from ..errors import ModelError
from ..team.lacks import lacks_of
from ..team.prices import price_fault
from ..team.providers import AUTO, endpoint, resolved
from ..team.requirements import missing_for, reachable

if TYPE_CHECKING:
    from ..team.config import AgentConfig, ModelConfig, Team, ToolsetConfig

__all__ = ["budget_faults", "missing_keys", "notes_on", "preload_faults", "would_fail"]

_LOADED_FIRST = frozenset({"msgspec", "pykka", "subactors"})
"""Packages that every task has loaded before its team's own modules, beside Python's own that this program has, too."""

_LARGEST_SOURCE = 300_000
"""Bytes of a module that is looked into; parsing takes a second for some megabytes."""


def would_fail(
    agent: AgentConfig, environ: Mapping[str, str], working_directory: Path, folders: Sequence[str] = ()
) -> list[str]:
    """Return why an agent would not run here, a sentence each; empty if nothing is seen that speaks against it.

    Args:
        agent: from a checked team.
        environ: the environment that it would run in.
        working_directory: where it would work.
        folders: where its modules are looked for before any other place.
    """
    reasons = missing_for(agent, environ, working_directory)
    if isinstance(agent.entrypoint, str):
        reasons.append(_target_fault(agent.entrypoint, folders))
    faults = _model_faults(agent, environ, folders)
    if all(fault for _, fault in faults):  # one that can answer is enough
        reasons += [fault for model, fault in faults if model.is_function]
    for toolset in agent.toolsets:
        if not toolset.optional:
            reasons += [*lacks_of(toolset, environ, working_directory), *_function_faults(toolset, folders)]
    return [reason for reason in dict.fromkeys(reasons) if reason]


def budget_faults(team: Team, name: str) -> tuple[str, list[str]]:
    """Return what a limit on cost refuses for want of a price, as `run` would.

    Args:
        team: a checked team.
        name: an agent of it.

    Returns:
        why it cannot run, empty if it can; and, a sentence each, what it, or what it starts, could not start.
    """
    agent, default = team.agents[name], team.settings.limits
    if agent.limits.over(default).cost is None:
        return "", []
    below = [fault for other in reachable(team, name) if other != name and (fault := price_fault(team.agents[other]))]
    return price_fault(agent), below


def preload_faults(team: Team) -> list[str]:
    """Return which modules of `preload` could not be imported, a sentence each; tasks run all the same."""
    return [fault for entry in team.settings.preload if (fault := _target_fault(entry, team.folders))]


def missing_keys(agent: AgentConfig, environ: Mapping[str, str], folders: Sequence[str] = ()) -> list[str]:
    """Return which models lack a key or an address, a sentence each, where no model of an agent could answer.

    A task starts all the same, and fails with such a sentence.
    """
    faults = _model_faults(agent, environ, folders)
    return list(dict.fromkeys(fault for _, fault in faults)) if all(fault for _, fault in faults) else []


def notes_on(
    agent: AgentConfig, environ: Mapping[str, str], working_directory: Path, folders: Sequence[str] = ()
) -> list[str]:
    """Return what speaks against nothing, but is worth knowing; arguments as of `would_fail`."""
    faults = _model_faults(agent, environ, folders)
    chosen = (resolved(model, environ) for model in agent.models if model.provider == AUTO)
    notes = [f"would use the model {model.reference}" for model in chosen]
    if not all(fault for _, fault in faults):
        notes += [f"would do without a model: {fault}" for _, fault in faults if fault]
    notes += [
        f"would do without the optional toolset {toolset.type}: {sentence}"
        for toolset in agent.toolsets
        if toolset.optional
        for sentence in [*lacks_of(toolset, environ, working_directory), *_function_faults(toolset, folders)]
    ]
    notes += [
        f"would do without the prompt file {name}, which is not in {working_directory}, above it, or in the home folder"
        for name in agent.add_prompt_files
        if not find_prompt_files(name, working_directory, environ)
    ]
    return notes


def _model_faults(
    agent: AgentConfig, environ: Mapping[str, str], folders: Sequence[str]
) -> list[tuple[ModelConfig, str]]:
    """Return why each of an agent's models could not answer; empty if it could."""
    return [(model, _model_fault(model, environ, folders)) for model in agent.models]


def _model_fault(model: ModelConfig, environ: Mapping[str, str], folders: Sequence[str]) -> str:
    if model.is_function:
        return _target_fault(model.name, folders)
    try:
        endpoint(model, environ)
    except ModelError as error:
        return str(error)
    return ""


def _function_faults(toolset: ToolsetConfig, folders: Sequence[str]) -> list[str]:
    """Return which functions of a toolset could not be imported, a sentence each."""
    functions = toolset.options["functions"] if toolset.type == "python" else ()
    targets = [function for function in functions if isinstance(function, str)]
    return [fault for target in targets if (fault := _target_fault(target, folders))]


def _target_fault(target: str, folders: Sequence[str] = ()) -> str:
    """Return what is wrong with a `package.module:function`, or a module, as far as can be said without running it."""
    module, _, function = target.partition(":")
    parts = module.split(".")
    spec = _top(parts[0], folders)
    if spec is not None and spec.origin is not None and _comes_too_late(parts[0], spec.origin, folders):
        return (
            f"{target}: {spec.origin} cannot be found by tasks, which have another module {parts[0]!r} loaded before. "
            "Rename yours."
        )
    for depth in range(1, len(parts)):
        if spec is None:
            break
        spec = _submodule(spec, ".".join(parts[: depth + 1]))
    if spec is None:
        return (
            f"{target}: there is no module {module!r}. Put it beside the team file, install it, or put the folder that "
            "holds it on PYTHONPATH."
        )
    if spec.origin is None or not spec.origin.endswith(".py"):
        return ""  # compiled, or a package without code of its own
    return _source_fault(target, Path(spec.origin), function.partition(".")[0])


def _top(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """Find a module or package as a task would, without importing it."""
    places = [*folders, *sys.path]
    beside = PathFinder.find_spec(name, places) if folders else None
    if beside is not None and (beside.origin is not None or name not in sys.modules):
        return beside
    # Built in, or found by a finder that an editable installation adds.
    return sys.modules[name].__spec__ if name in sys.modules else importlib.util.find_spec(name)


def _comes_too_late(name: str, origin: str, folders: Sequence[str]) -> bool:
    """Whether a module of a team has the name of one that tasks have loaded before they look at its folder."""
    is_beside = any(Path(origin).is_relative_to(folder) for folder in folders)
    return is_beside and name in sys.modules and (name in sys.stdlib_module_names or name in _LOADED_FIRST)


def _submodule(parent: ModuleSpec, name: str) -> ModuleSpec | None:
    """Find a module as an import would, but without importing the package above it."""
    if parent.submodule_search_locations is None:
        return None
    places = list(parent.submodule_search_locations)
    try:
        specs = (finder.find_spec(name, places) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        return next((spec for spec in specs if spec is not None), None)
    except KeyError:
        # A folder without `__init__.py`: the finder wants to keep its places those of the package above it, which has
        # not been imported.
        spec = ModuleSpec(name, None, is_package=True)
        folders = [Path(place, name.rpartition(".")[2]) for place in places]
        spec.submodule_search_locations = [str(folder) for folder in folders if folder.is_dir()]
        return spec


def _source_fault(target: str, path: Path, name: str) -> str:
    try:
        names, is_open = _names_in(path)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"{target}: {path} cannot be read as Python: {error}."
    return "" if is_open or name in names or not name else f"{target}: {path} defines no {name!r}."


@functools.lru_cache(maxsize=1000)
def _names_in(path: Path) -> tuple[frozenset[str], bool]:
    """Return the names that a file's module defines, and whether there may be others, as in one too large to look into.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        SyntaxError, ValueError, RecursionError, MemoryError: it is not Python that can be parsed.
    """
    with os.fdopen(open_to_read(path, follow=True), "rb") as file:
        source = file.read(_LARGEST_SOURCE + 1)
    if len(source) > _LARGEST_SOURCE:
        return frozenset(), True
    names, is_open = _names(ast.parse(source, filename=str(path)))
    return frozenset(names), is_open


def _names(tree: ast.Module) -> tuple[set[str], bool]:
    """Return the names that a module defines, and whether there may be others."""
    names: set[str] = set()
    ahead: list[ast.AST] = list(tree.body)
    while ahead:
        node = ahead.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
                continue  # what is defined inside is not the module's
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                names |= {alias.asname or alias.name.partition(".")[0] for alias in imported}
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case _:
                pass
        ahead += ast.iter_child_nodes(node)
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return names, bool(names & {"*", "__getattr__"} or called & {"globals", "exec", "setattr"})
