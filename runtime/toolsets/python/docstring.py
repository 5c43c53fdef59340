"""Docstrings: what they say to a model of a function and of its parameters, in Google's, NumPy's and Sphinx's style."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import docstring_parser

__all__ = ["documentation_of"]


def documentation_of(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return a function's description, and those of its parameters by name; what is not said is empty, or not there.

    What it returns is part of the description, because a model chooses tools by that.
    """
    text = inspect.getdoc(function) or ""
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return text, {}
    description = (parsed.description or "").strip()
    if parsed.returns is not None and parsed.returns.description:
        description = f"{description}\n\nReturns: {parsed.returns.description.strip()}".strip()
    parameters = {
        name.strip().lstrip("*"): parameter.description.strip()
        for parameter in parsed.params
        if parameter.description
        for name in parameter.arg_name.split(",")  # NumPy's style has several in one line
    }
    return description, parameters
