"""Requests: makes of a program's arguments what is asked of the supervisor, and refuses what nobody could run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...actors import RestartPolicy, encode_object
from ..tasks.messages import AS_USUAL, RunOptions, RunTask
from ..team.config import Limits, Workdir
from ..text import encodable

__all__ = ["call_request", "label_of", "options_of", "run_request"]


def options_of(
    limits: Limits | None, restart: RestartPolicy | None, workdir: Workdir | None, key: str | None
) -> RunOptions:
    """Return how a task differs from others."""
    if limits is None and restart is None and workdir is None and key is None:
        return AS_USUAL
    return RunOptions(limits, restart, workdir, key)


def run_request(
    agent: str, task: str, expected_output: str | None, data: Any, options: RunOptions = AS_USUAL
) -> RunTask:
    """Return the request for a task of an agent.

    Raises:
        TypeError: the data is not plain data.
    """
    encoded = _encoded(data) if data is not None else None
    return RunTask(agent, _fit(task), _fit(expected_output), encoded, options=options)


def call_request(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    name: str | None,
    options: RunOptions = AS_USUAL,
) -> RunTask:
    """Return the request for a task that is a function; what a module has is sent by its name, all else by value.

    Raises:
        TypeError: it cannot be called, or it, or an argument, cannot be sent to another process.
    """
    label = name or label_of(function)
    try:
        call = encode_object((function, tuple(args), dict(kwargs)))
    except Exception as error:
        raise TypeError(
            f"{label} cannot be sent to a process of its own: {type(error).__name__}: {error}. Give it what can be "
            "pickled, such as a path in place of an open file."
        ) from error
    return RunTask(label, label, None, None, call, options)


def label_of(function: Callable[..., Any]) -> str:
    """Return what a task that is a function is called.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(function):
        raise TypeError(f"A function is wanted, not {type(function).__name__}.")
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def _encoded(data: Any) -> str:
    from ..tasks.plain_data import NotPlainError, encode_result  # noqa: PLC0415 - few tasks have any

    try:
        return encode_result(data).decode()
    except NotPlainError as error:
        raise TypeError(f"The data of the task is not plain data: {error}") from None


def _fit(text: Any) -> Any:
    """Make text that a program gives fit to be sent; what is not text is refused later."""
    return encodable(text) if isinstance(text, str) else text
