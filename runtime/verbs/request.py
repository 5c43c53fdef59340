"""Requests: makes of a program's arguments what is asked of the supervisor, and refuses what nobody could run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import msgspec

from ...actors import RestartPolicy
from ..tasks.messages import AS_USUAL, LONGEST_KEY, RunOptions, RunTask
from ..team.config import Limits, Workdir
from ..text import encodable
from .arguments import check_choice, type_name
from .handle import TaskRef, id_of

__all__ = ["CallRequests", "call_request", "options_of", "run_request"]


def options_of(
    limits: Limits | None = None,
    restart: RestartPolicy | None = None,
    workdir: Workdir | None = None,
    *,
    key: str | None = None,
    output_schema: Any = None,
    place: str | None = None,
    near: TaskRef | None = None,
) -> RunOptions:
    """Return how a task differs from others.

    Raises:
        TypeError: one is of another type, or the type that is the output schema has none.
        ValueError: there is no such working directory, or the key is empty, or longer than 500 characters.
        OutputSchemaError: the output schema cannot be used.
    """
    if (limits, restart, workdir, key, output_schema, place, near) == (None,) * 7:
        return AS_USUAL
    if limits is not None and not isinstance(limits, Limits):
        raise TypeError(f"limits is {type_name(limits)}; give it as Limits(wall_clock=…), with a value for each.")
    if restart is not None and not isinstance(restart, RestartPolicy):
        raise TypeError(f'restart is {type_name(restart)}; give it as RestartPolicy("transient").')
    if workdir is not None:
        check_choice("workdir", workdir, get_args(Workdir))
    if key is not None:
        _check_key(key)
    if place is not None:
        _check_place(place)
    schema = None if output_schema is None else _schema(output_schema)
    return RunOptions(limits, restart, workdir, key, schema, place, None if near is None else id_of(near))


def _schema(given: Any) -> str:
    from ..tasks.output_schema import encode_schema  # noqa: PLC0415 - for programs that want a form

    return encode_schema(given)


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise TypeError(f"key is {type_name(key)}; it must be text.")
    if not key.strip():
        raise ValueError("key is empty; leave it out, or name the piece of work.")
    if len(key) > LONGEST_KEY:
        raise ValueError(f"key is {len(key):,} characters long; it may have {LONGEST_KEY}.")
    if encodable(key) != key:
        raise ValueError("key has half of a surrogate pair in it, which no other process could read.")


def _check_place(place: object) -> None:
    if not isinstance(place, str):
        raise TypeError(f"place is {type_name(place)}; it must be the name of a place.")


def run_request(
    agent: str,
    task: str,
    expected_output: str | None,
    data: Any,
    options: RunOptions = AS_USUAL,
    *,
    what: str = "The data of the task",
) -> RunTask:
    """Return the request for a task of an agent. `what` is what its data is called where that is refused.

    Raises:
        TypeError: what must be text is not, or the data is not plain data.
    """
    name: Any = agent
    if not isinstance(name, str):
        remedy = " A function is run by submit." if callable(name) else ""
        raise TypeError(f"agent is {type_name(name)}; it must be the name of an agent.{remedy}")
    if not isinstance(task, str):
        raise TypeError(f"task is {type_name(task)}; it must be text, which says what is to be done.")
    if expected_output is not None and not isinstance(expected_output, str):
        raise TypeError(f"expected_output is {type_name(expected_output)}; it must be text.")
    encoded = None if data is None else _encoded(data, what)
    return RunTask(agent, _fit(task), _fit(expected_output), encoded, options=options)


def _encoded(data: Any, what: str) -> str:
    from ..tasks.plain_data import NotPlainError, encode_data  # noqa: PLC0415 - for programs that give data

    try:
        return encode_data(data).decode()
    except NotPlainError as error:
        raise TypeError(f"{what} is not plain data: {error}") from None


def call_request(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    name: str | None,
    options: RunOptions = AS_USUAL,
    *,
    by_value: bool = True,
) -> RunTask:
    """Return the request for a task that is a function; what a module has is sent by its name, all else by value.

    Args:
        function: what to call.
        args: its arguments.
        kwargs: its keyword arguments.
        name: what the task is called; None: as the function is.
        options: how the task differs from others.
        by_value: whether code may be sent that the task's process cannot import.

    Raises:
        TypeError: it cannot be called, or it, or an argument, cannot be sent to another process.
        ValueError: the name is empty.
    """
    from ..tasks.calls import encode_call  # noqa: PLC0415 - for programs that submit functions
    from ..team.callables import check_callable, check_own_keywords, label_of, module_of  # noqa: PLC0415 - for programs that submit functions

    check_callable(function, "submit")
    if name is not None or options is not AS_USUAL:
        check_own_keywords(function, {"name": name, **msgspec.structs.asdict(options)})
    label = label_of(function, name)
    try:
        call = encode_call(function, args, kwargs, module_of(function), by_value=by_value)
    except Exception as error:
        from ..team.unsendable import describe_unsendable  # noqa: PLC0415 - for programs that submit functions

        parts = [
            *((f"argument {number}", value) for number, value in enumerate(args, 1)),
            *((f"argument {name!r}", value) for name, value in kwargs.items()),
        ]
        raise TypeError(describe_unsendable(function, parts, error)) from error
    return _call_request(label, call, options)


class CallRequests:
    """Makes requests for many calls of one function, which is pickled once; see `tasks/calls.Calls`.

    Args:
        function: what to call, with one argument.
        work: the program's own function, which it calls; may be the same.
        options: how each task differs from others.
        by_value: see `call_request`.
        are_chunks: see `tasks/calls.Call`.

    Raises:
        TypeError: it cannot be sent to another process.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        work: Callable[..., Any],
        options: RunOptions = AS_USUAL,
        *,
        by_value: bool,
        are_chunks: bool = False,
    ) -> None:
        from ..tasks.calls import Calls  # noqa: PLC0415 - for programs that map functions
        from ..team.callables import label_of, module_of  # noqa: PLC0415 - as above

        self._work = work
        self._options = options
        self._label = label_of(work)
        self._calls = Calls(function, module_of(work), by_value=by_value, are_chunks=are_chunks)
        try:
            is_sendable = self._calls.is_sendable()
        except Exception as error:
            raise self._refusal([], error) from error
        if not is_sendable:
            raise _unfound(self._label)

    def request(self, argument: Any, parts: Sequence[tuple[str, Any]]) -> RunTask:
        """Return the request for one call.

        Args:
            argument: of the function.
            parts: what it is made of, each with where the program has it.

        Raises:
            TypeError: the argument cannot be sent to another process.
        """
        try:
            call = self._calls.encode((argument,))
        except Exception as error:
            raise self._refusal(parts, error) from error
        return _call_request(self._label, call, self._options)

    def _refusal(self, parts: Sequence[tuple[str, Any]], error: Exception) -> TypeError:
        from ..team.unsendable import describe_unsendable  # noqa: PLC0415 - as above

        return TypeError(describe_unsendable(self._work, parts, error))


def _call_request(label: str, call: tuple[bytes, bool] | None, options: RunOptions) -> RunTask:
    if call is None:
        raise _unfound(label)
    return RunTask(label, label, None, None, call[0], options, has_code=call[1])


def _unfound(label: str) -> TypeError:
    return TypeError(
        f"{label} is not found by its name in another process, or something that it is given is not. A task can hand "
        "on functions of modules only: put it into one, or have the host program submit it."
    )


def _fit(text: Any) -> Any:
    """Make text that a program gives fit to be sent; what is not text is refused later."""
    return encodable(text) if isinstance(text, str) else text
