"""Import reader: tells what a module imports of ours, in whatever way it does, from the module's source alone."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

TOP: Final = "subactors"

IMPORTING: Final = frozenset({"import_module", "__import__", "run_module", "resolve_name"})
"""Functions that import what a text names."""

COMPUTED: Final = "?"
"""Imported, where the name is computed when the program runs."""


class Import(NamedTuple):
    """A module imports another, on top, in a function or for types alone; or it uses a part of one that it can reach.

    Modules have names without `subactors.`, such as `runtime.team.config`; what is imported may be `COMPUTED`.
    """

    importer: str
    imported: str
    names: frozenset[str] = frozenset()


class _Reader:
    """What one module imports.

    Args:
        name: the module's name; it may be one that is not there.
        is_folder: whether it is the `__init__` of a folder.
        modules: the names of all modules of ours.
    """

    def __init__(self, name: str, modules: Collection[str], *, is_folder: bool) -> None:
        self._name = name
        self._package = name if is_folder else name.rpartition(".")[0]
        self._modules = {TOP, *(f"{TOP}.{module}" for module in modules)}
        self._bound: dict[str, str] = {}  # names that an import has bound to modules of ours

    def read(self, tree: ast.Module) -> Iterator[Import]:
        """Yield all imports; those of statements are looked at first, because they bind names."""
        nodes = [*ast.walk(tree)]
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from self._import(node)
            elif isinstance(node, ast.ImportFrom):
                yield from self._import_from(node)
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        for node in nodes:
            if isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
                yield from self._expression(node)
            if isinstance(node, ast.Name | ast.Attribute) and _last(node) in IMPORTING and id(node) not in called:
                yield Import(self._name, COMPUTED)  # handed on under another name

    def _found(self, dotted: str, names: Collection[str] = ()) -> Iterator[Import]:
        """Yield the import of names of a module, some of which may be modules themselves."""
        assert dotted in self._modules, f"{self._name} imports {dotted}, which is not there"
        modules = [name for name in names if f"{dotted}.{name}" in self._modules]
        yield from (Import(self._name, f"{dotted}.{name}".removeprefix(f"{TOP}.")) for name in modules)
        if dotted != TOP and len(modules) < max(len(names), 1):
            yield Import(self._name, dotted.removeprefix(f"{TOP}."), frozenset(names) - {*modules})

    def _import(self, node: ast.Import) -> Iterator[Import]:
        for alias in node.names:
            if _is_ours(alias.name):
                self._bound[alias.asname or TOP] = alias.name if alias.asname else TOP
                yield from self._found(alias.name)

    def _import_from(self, node: ast.ImportFrom) -> Iterator[Import]:
        base = self._absolute(node.module or "", node.level)
        if not _is_ours(base):
            if any(alias.name in IMPORTING and alias.asname for alias in node.names):
                yield Import(self._name, COMPUTED)  # under a name that is not looked for
            return
        for alias in node.names:
            if f"{base}.{alias.name}" in self._modules:
                self._bound[alias.asname or alias.name] = f"{base}.{alias.name}"
        yield from self._found(base, [alias.name for alias in node.names])

    def _absolute(self, name: str, level: int) -> str:
        """Return the whole name of what has one relative to this module."""
        parts = [TOP, *self._package.split(".")]
        above = parts[: len(parts) + 1 - level] if level else []
        return ".".join([*above, *filter(None, [name])])

    def _expression(self, node: ast.expr) -> Iterator[Import]:
        """Yield what an expression reaches: a part of a module, or a module that is imported by its name."""
        match node:
            case (
                ast.Attribute(value=value, attr=name)
                | ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(name)), *_])
            ):
                if (module := self._module(value)) is not None:
                    yield from self._found(module, [name])
            case ast.Call(func=function) if _last(function) in IMPORTING:
                named = self._named(node)
                if named is None:
                    yield Import(self._name, COMPUTED)
                elif _is_ours(named):
                    yield from self._found(named)
            case _:
                if (module := self._module(node)) is not None:
                    yield from self._found(module)

    def _module(self, node: ast.expr) -> str | None:
        """Return which module of ours an expression is; None if it is something else."""
        match node:
            case ast.Name(id=name):
                return self._bound.get(name)
            case (
                ast.Attribute(value=value, attr=name)
                | ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(name)), *_])
            ):
                above = self._module(value)
                return f"{above}.{name}" if above and f"{above}.{name}" in self._modules else None
            case (
                ast.Subscript(value=loaded, slice=ast.Constant(value=str(name)))
                | ast.Call(func=ast.Attribute(value=loaded), args=[ast.Constant(value=str(name)), *_])
            ) if _last(loaded) == "modules":
                return name if name in self._modules else None  # of `sys.modules`
            case ast.Call(func=function) if _last(function) in IMPORTING:
                named = self._named(node)
                if not named or not _is_ours(named):
                    return None
                return TOP if _last(function) == "__import__" else named  # the topmost, as with `import a.b`
            case _:
                return None

    def _named(self, call: ast.Call) -> str | None:
        """Return the whole name that an importing function is given; None if it is computed."""
        given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg in {"name", "package"})]
        match given:
            case [ast.Constant(value=str(name)), *rest]:
                dotted = name.partition(":")[0]
                level = len(dotted) - len(dotted.lstrip("."))
                if not level:
                    return dotted
                match rest:
                    case [ast.Name(id="__package__"), *_]:
                        return self._absolute(dotted[level:], level)
                    case [ast.Constant(value=str(package)), *_]:
                        above = package.split(".")
                        return ".".join([*above[: len(above) + 1 - level], dotted[level:]])
        return None


def _last(node: ast.expr) -> str:
    """Return a name, or the last part of a dotted one."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_ours(dotted: str) -> bool:
    return dotted == TOP or dotted.startswith(f"{TOP}.")


def imports_of(name: str, source: str, modules: Collection[str], *, is_folder: bool = False) -> list[Import]:
    """Return what a module imports of ours, and what it uses of modules that it reaches.

    Args:
        name: the module's name.
        source: its source.
        modules: the names of all modules of ours.
        is_folder: whether it is the `__init__` of a folder.
    """
    return [*_Reader(name, {*modules, name}, is_folder=is_folder).read(ast.parse(source))]
