"""Run parameters: what `run_background_agent` takes: more than agent and task where its toolset asks for that."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Final

import msgspec

from ..errors import BudgetError
from ..tasks.messages import AS_USUAL, RunOptions
from ..team.config import LARGEST_LIMIT, Limits
from .base import ToolParameters

__all__ = ["RunParameters", "more_fields", "options_of", "run_parameters"]


class RunParameters(ToolParameters, frozen=True):
    """The parameters of `run_background_agent` and `transfer_task`."""

    agent: Annotated[str, msgspec.Meta(description="Name of the agent that is to do it; one of your sub-agents.")]
    task: Annotated[str, msgspec.Meta(description="What it is to do, with all that it needs to know.")]
    expected_output: Annotated[
        str | None, msgspec.Meta(description="What its answer should look like, if that matters.")
    ] = None


_SCHEMA: Final = (
    (
        "output_schema",
        Annotated[
            dict[str, Any] | None,
            msgspec.Meta(
                description=(
                    "JSON schema that its answer must fit, if a form matters: then its answer is JSON, and checked."
                )
            ),
        ],
        None,
    ),
)
"""With `schema: true`."""

_OF_YOURS: Final = "with all tasks that it starts; reserved out of what you have left."

_LIMITS: Final = (
    ("turns", Annotated[int | None, msgspec.Meta(description="Turns that it may take.")], None),
    ("tokens", Annotated[int | None, msgspec.Meta(description=f"Tokens that it may use, {_OF_YOURS}")], None),
    ("cost", Annotated[float | None, msgspec.Meta(description=f"US dollars that it may cost, {_OF_YOURS}")], None),
    ("seconds", Annotated[float | None, msgspec.Meta(description="Seconds that it may run.")], None),
)
"""With `limits: true`."""

_NAMES: Final = {"turns": "iterations", "tokens": "tokens", "cost": "cost", "seconds": "wall_clock"}
"""The limits that these mean."""


@functools.cache
def run_parameters(*, schema: bool, limits: bool) -> type[msgspec.Struct]:
    """Return the parameters; the more there are, the more each request of the model has to say of them."""
    if not schema and not limits:
        return RunParameters
    fields = more_fields(schema=schema, limits=limits)
    return msgspec.defstruct("RunParametersAndMore", fields, bases=(RunParameters,), frozen=True)


def more_fields(*, schema: bool, limits: bool) -> list[tuple[str, Any, None]]:
    """Return the parameters that are there where the toolset asks for them: name, type, default."""
    return [*(_SCHEMA if schema else ()), *(_LIMITS if limits else ())]


def options_of(parameters: ToolParameters) -> RunOptions:
    """Return how the task differs from others.

    Raises:
        OutputSchemaError: its schema is not a schema.
        BudgetError: a limit is 0 or less: with none left, no task can run; or above all that a limit may be.
    """
    options = {"output_schema": _schema(parameters), "limits": _limits(parameters)}
    chosen: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return RunOptions(**chosen) if chosen else AS_USUAL


def _schema(parameters: ToolParameters) -> str | None:
    given = getattr(parameters, "output_schema", None)
    if given is None:
        return None
    from ..tasks.output_schema import encode_schema  # noqa: PLC0415 - for models that want a form

    return encode_schema(given)


def _limits(parameters: ToolParameters) -> Limits | None:
    given = {name: value for name in _NAMES if (value := getattr(parameters, name, None)) is not None}
    for name, value in given.items():
        if value <= 0:
            raise BudgetError(
                f"{name} is {value:g}, and with that no task can run: 0 is none at all. Give more than 0, or leave it "
                "out, so that the agent has what its team file gives and you have left."
            )
        if value > LARGEST_LIMIT:
            raise BudgetError(f"{name} is above 10^15, and no limit is. Leave it out where there is to be none.")
    chosen: dict[str, Any] = {_NAMES[name]: value for name, value in given.items()}
    return Limits(**chosen) if chosen else None
