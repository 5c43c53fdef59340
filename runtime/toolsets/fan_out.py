"""Fan-out: `map_background_agent`, with which a model has one agent do many items by one call.

What it starts is one task, the group; all other tools take its id.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any

import msgspec

from ..tasks.gateway import Gateway
from ..tasks.group_request import LONGEST_ITEMS, MOST_ITEMS, MapAgent
from ..tasks.views import Budget
from ..tasks.wording import budget_text
from ..team.config import Limits
from ..text import encodable
from .asking import ask, errors_as_answers
from .base import Tool, ToolAnswer, ToolParameters
from .run_parameters import more_fields, options_of

__all__ = ["FAN_OUT_INSTRUCTION", "map_tool"]

FAN_OUT_INSTRUCTION = """
- Use `map_background_agent` for the same work on many items. It starts a group: one task for all other tools, whose
  result says how many items are completed, which failed and why, and in which file all results are, in order."""


class _MapParameters(ToolParameters, frozen=True):
    """The parameters of `map_background_agent`."""

    agent: Annotated[
        str | None, msgspec.Meta(description="Name of the agent that does the items; needed, but with retry_failed.")
    ] = None
    task: Annotated[
        str | None,
        msgspec.Meta(
            description=(
                "What it is to do with one item, with all that it needs to know. Write {item} where the item goes. "
                "Needed, but with retry_failed."
            )
        ),
    ] = None
    items: Annotated[
        Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_ITEMS)] | None,
        msgspec.Meta(description="The items, 1 to 1000. Needed, but with retry_failed."),
    ] = None
    concurrency: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        msgspec.Meta(description="How many items are at work at a time; as many as tasks may run by default."),
    ] = None
    expected_output: Annotated[
        str | None, msgspec.Meta(description="What each answer should look like, if that matters.")
    ] = None
    retry_failed: Annotated[
        str | None,
        msgspec.Meta(
            description=(
                "Id of a group that has ended, in place of agent, task and items: what is not completed of it is done "
                "again, by a new group that has the results of all."
            )
        ),
    ] = None


@functools.cache
def _parameters(*, schema: bool, limits: bool) -> type[msgspec.Struct]:
    fields = more_fields(schema=schema, limits=limits)
    return msgspec.defstruct("MapParametersAndMore", fields, bases=(_MapParameters,), frozen=True)


def map_tool(gateway: Gateway, *, schema: bool, limits: bool, notify: bool) -> Tool:
    """Return the tool.

    Args:
        gateway: the caller's way to the supervisor.
        schema: whether the items' answers may have an output schema.
        limits: whether the group may have limits.
        notify: whether the caller is told of the group's end.
    """

    @errors_as_answers
    async def start(parameters: _MapParameters) -> ToolAnswer:
        wrong = _wrong_with(parameters)
        if wrong:
            return ToolAnswer(wrong, is_error=True)
        accepted = await ask(gateway, msgspec.structs.replace(_request(parameters), notify=notify))
        data: dict[str, Any] = {"task_id": accepted.task_id}
        limited = ""
        if accepted.budget is not None:
            data["budget"] = msgspec.to_builtins(accepted.budget)
            limited = _limited(accepted.budget)
        if parameters.retry_failed is None:
            data |= {"agent": parameters.agent, "items": len(parameters.items or ())}
            what = f"{parameters.agent} does {len(parameters.items or ()):,} items in the background"
        else:
            what = f"what is not completed of {parameters.retry_failed} is done again in the background"
        begun, then = "Started", "You will be told when it has ended: do not poll. " if notify else ""
        if accepted.queue_place:
            begun, data["queue_place"] = "Queued", accepted.queue_place
        return ToolAnswer(
            f"{begun} {accepted.task_id}: {what}.{limited} This is the id of the group, which is one task for all "
            f"other tools. {then}When it has ended, view_background_agent shows what failed, and in which file all "
            "results are.",
            data,
        )

    return Tool(
        name="map_background_agent",
        description=(
            "Have one of your sub-agents do the same with each of many items, in the background: a task for each, some "
            "at a time. You get the id of the group at once; with it, the group is looked at and stopped as a task is."
        ),
        parameters=_parameters(schema=schema, limits=limits),
        handler=start,
    )


def _limited(budget: Budget) -> str:
    together = budget_text(msgspec.structs.replace(budget, turns=None))
    limited = f" All of it together may use: {together}." if together else ""
    if budget.turns is not None:
        limited += f" Each item may take: {budget_text(Budget(turns=budget.turns))}."
    return limited


def _wrong_with(parameters: _MapParameters) -> str:
    """Return what is wrong with the call, with the remedy in it; empty if nothing is."""
    given = {"agent": parameters.agent, "task": parameters.task, "items": parameters.items}
    if parameters.retry_failed is not None:
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            return f"With retry_failed, the earlier group says this already: {', '.join(extra)}. Leave it out."
        return ""
    missing = [name for name, value in given.items() if value is None]
    if missing:
        return f"Missing: {', '.join(missing)}. Give agent, task and items, or retry_failed alone."
    for number, item in enumerate(parameters.items or (), 1):
        if not item.strip():
            return f"Item {number:,} of {len(parameters.items or ()):,} is empty. Leave it out."
    length = sum(map(len, parameters.items or ()))
    if length > LONGEST_ITEMS:
        return (
            f"The items have {length:,} characters, and {LONGEST_ITEMS:,} is the limit. Give the names of files in "
            "place of their texts, or make two groups."
        )
    return ""


def _request(parameters: _MapParameters) -> MapAgent:
    """Return the request; raises SubactorsError."""
    options = options_of(parameters)
    limits = options.limits
    expected = parameters.expected_output
    return MapAgent(
        agent=parameters.agent or "",
        task=encodable(parameters.task or ""),
        items=[encodable(item) for item in parameters.items or ()],
        concurrency=parameters.concurrency,
        expected_output=encodable(expected) if expected is not None else None,
        output_schema=options.output_schema,
        turns=limits.iterations if limits is not None else None,
        limits=_of_the_group(limits),
        retry=parameters.retry_failed or "",
    )


def _of_the_group(limits: Limits | None) -> Limits | None:
    """Return what all items may use together: everything but turns, which each has of its own."""
    if limits is None:
        return None
    limits = msgspec.structs.replace(limits, iterations=None)
    return None if limits == Limits() else limits
