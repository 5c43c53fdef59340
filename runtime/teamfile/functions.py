"""Functions: checks the `functions` of a toolset of type `python`. It imports none of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..team.function_by_value import Function
from ..team.functions import by_value, name_of
from ..team.references import TARGET_FORM
from .models import named_function
from .values import quoted

if TYPE_CHECKING:
    from .values import Section, Value

__all__ = ["read_functions"]


def read_functions(toolset: Value, section: Section) -> list[Function]:
    """Return what stands for the functions; what is wrong is noted."""
    given = section.get("functions")
    if given is None:
        if not section.means("functions"):
            toolset.report("This toolset has no `functions`.", f"List them there, each as `{TARGET_FORM}`.")
        return []
    items = given.items() or []
    if given.node.value == ():
        given.report("There are no functions here.", f"List them, each as `{TARGET_FORM}`.")
    functions: dict[str, Function] = {}
    for item in items:
        function = _function(item)
        if function is None:
            continue
        name = name_of(function)
        if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", name):
            item.report(
                f"The name of a tool has up to 64 letters from A to Z, digits and `_`, and {quoted(name)} has others.",
                "Give the function such a name.",
            )
        elif name in functions:
            item.report(f"Two functions are called {quoted(name)}, as their tools would be.", "Rename one of them.")
        else:
            functions[name] = function
    return list(functions.values())


def _function(item: Value) -> Function | None:
    value = item.node.value
    if callable(value):
        try:
            return by_value(value)
        except TypeError as error:
            item.report(str(error), "Give it what can be sent, or name a function of a module.")
            return None
    return named_function(item)
