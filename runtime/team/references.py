"""References: turns `package.module:function` into the function that it names.

It decides on the form of such a target, and imports it, with an error that says which part of it is wrong. Checking the
form must never import anything: a team file is checked without running code of its author.
"""

from __future__ import annotations

import difflib
import importlib.machinery
import keyword
import sys
from typing import TYPE_CHECKING, Any

from ..errors import ImportTargetError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TARGET_FORM", "advise_for_node", "is_target", "resolve"]

TARGET_FORM = "package.module:function"
"""How a target is written, for messages."""

_place = ""
"""Of which place this process's machine is a node; empty: it is the host's."""


def advise_for_node(place: str) -> None:
    """Have errors name what helps on a node of a place; what the host finds by its own PYTHONPATH is not there."""
    global _place  # noqa: PLW0603 - a process stays on its machine
    _place = place


def is_target(text: str) -> bool:
    """Whether `text` has the form of a target; says nothing about whether the function exists, and imports nothing."""
    module, separator, function = text.partition(":")
    parts = [*module.split("."), *function.split(".")]
    return bool(separator) and all(part.isidentifier() and not keyword.iskeyword(part) for part in parts)


def resolve(target: str, *, what: str) -> Callable[..., Any]:
    """Import the module of a target and return the function.

    Runs the module's code, in the calling thread; called in the process that is going to call the function.

    Args:
        target: `package.module:function`; the function may be an attribute of an attribute (`module:Class.method`).
        what: what the target is for, as the beginning of a sentence: `The entrypoint of agent 'writer'`.

    Raises:
        ImportTargetError: the form is wrong, there is no such module, it failed while it was imported, it has no such
            attribute, or the attribute cannot be called. What the module raised is the cause.
    """
    if not is_target(target):
        raise ImportTargetError(f"{what} is {target!r}, which is not of the form `{TARGET_FORM}`.")
    module_name, _, function = target.partition(":")
    found: Any = _import(module_name, target, what)
    place = f"module {module_name!r}"
    for name in function.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            near = difflib.get_close_matches(name, dir(found), n=1)
            hint = _hidden(module_name) or (f" Did you mean {near[0]!r}?" if near else "")
            raise ImportTargetError(f"{what} is {target!r}, but {place} has no attribute {name!r}.{hint}") from None
        place = f"{name!r} of {place}"
    if not callable(found):
        raise ImportTargetError(
            f"{what} is {target!r}, which cannot be called: it is of type {type(found).__name__}. Name a function."
        )
    function_found: Callable[..., Any] = found
    return function_found


def _import(module_name: str, target: str, what: str) -> Any:
    try:
        # Not `import_module`: where the module is there already, as in most processes, this runs no Python.
        __import__(module_name)
        return sys.modules[module_name]
    except ModuleNotFoundError as error:
        # The missing module is the target's own or a package above it; any other is one that the target's code imports.
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ImportTargetError(
                f"{what} is {target!r}, but there is no module {error.name!r}{' on this node' if _place else ''}. "
                f"{_remedy()}{_hidden(module_name)}"
            ) from error
        raise ImportTargetError(_failed(module_name, target, what, error)) from error
    except (Exception, SystemExit) as error:
        # A script without a `__main__` guard may well call `sys.exit` when it is imported.
        raise ImportTargetError(_failed(module_name, target, what, error)) from error


def _remedy() -> str:
    """Return what is to be done about a module that is not there."""
    if _place:
        return f"Put it beside the team file, name it under `py_modules` of place {_place}, or install it on the node."
    return "Put it beside the team file, install it, or put the folder that holds it on PYTHONPATH."


def _hidden(module_name: str) -> str:
    """Return, as a sentence, that another module of its name was loaded before; empty if none was."""
    top = module_name.partition(".")[0]
    loaded = sys.modules.get(top)
    ours = importlib.machinery.PathFinder.find_spec(top)
    place = getattr(loaded, "__file__", None)
    if loaded is None or ours is None or ours.origin is None or ours.origin == place:
        return ""
    other = f"the one in {place}" if place else "one of Python's own"
    return f" {ours.origin} was not looked at: another module {top!r} is loaded, {other}. Rename yours."


def _failed(module_name: str, target: str, what: str, error: BaseException) -> str:
    remedy = _remedy() if _place and isinstance(error, ModuleNotFoundError) else "Correct the module."
    return (
        f"{what} is {target!r}, but importing module {module_name!r} failed: {type(error).__name__}: {error}. {remedy}"
    )
