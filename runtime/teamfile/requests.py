"""Requests: reads the keys about requests to models: parameters, prices, stand-ins, and the form of answers.

It knows these keys only; `models` knows which model a name means. Nothing here reads the environment.
"""

from __future__ import annotations

import functools
import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..models.thinking import LEVELS
from ..team.config import AgentConfig, Cost, Fallback
from ..team.expansion import template_fault
from .keys import COST, FALLBACK, PROVIDER_OPTS, STRUCTURED_OUTPUT
from .values import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..team.config import ModelConfig
    from .values import Section, Value

__all__ = [
    "API_TYPE",
    "OURS",
    "PARAMETERS",
    "expandable",
    "read_cost",
    "read_fallback",
    "read_old_tool_tokens",
    "read_options",
    "read_thinking_budget",
    "with_structured_output",
]

OURS: Final = frozenset({"messages", "model", "n", "stream", "tools", "response_format"})
"""Parameters that a file cannot set, as the loop lives on them, or another key is for them."""

API_TYPE: Final = "openai_chatcompletions"
"""The only type of API that there is a client for."""

_LEVELS: Final = ", ".join(LEVELS)


PARAMETERS: Final = MappingProxyType(
    {
        "temperature": (0.0, 2.0),
        "top_p": (0.0, 1.0),
        "frequency_penalty": (-2.0, 2.0),
        "presence_penalty": (-2.0, 2.0),
    }
)
"""Parameters that are numbers, each with its least and most."""


def read_options(section: Section) -> dict[str, Any]:
    """Read the parameters of requests from a model's definition; wrong ones are noted."""
    readers: dict[str, Callable[[Value], float | None]] = {
        "max_tokens": lambda value: value.whole(least=1),
        "parallel_tool_calls": lambda value: value.boolean(),
    }
    for name, (least, most) in PARAMETERS.items():
        readers[name] = functools.partial(_number, least=least, most=most)
    options: dict[str, Any] = {
        key: read(value) for key, read in readers.items() if (value := section.get(key)) is not None
    }
    given = section.get("provider_opts")
    for name, value in ((given.entries() if given is not None else None) or {}).items():
        if name in PROVIDER_OPTS:
            value.refuse(f"`{name}`", PROVIDER_OPTS[name])
        elif name == "api_type":
            if value.node.value != API_TYPE:
                value.report("This API type is not supported by this version.", f"Use `{API_TYPE}`.")
        elif name in OURS:
            value.report(f"`{name}` is not for `provider_opts`.", "Remove it: every request has what it needs of this.")
        elif not _expandable_key(value, name):
            continue
        elif name in readers:
            value.report(f"`{name}` has a key of its own.", "Move it up, beside `provider_opts`.")
        else:
            options[name] = _data(value, expanded=True)
    return options


def _number(value: Value, *, least: float, most: float) -> float | None:
    return value.number(least=least, most=most)


def read_thinking_budget(section: Section, options: Mapping[str, Any]) -> int | str | None:
    """Read `thinking_budget`: tokens (0: none, -1: as the model likes), or a level; `options` are what else is sent."""
    value = section.get("thinking_budget")
    if value is None:
        return None
    given = value.node.value
    if isinstance(given, bool):
        return "adaptive" if given else "none"
    if isinstance(given, str):
        word = given.strip().lower()
        if word.removeprefix("adaptive/") in LEVELS:
            return word
        if not re.fullmatch(r"-1|\d{1,9}", word):
            value.report(f"{quoted(given)} is not a thinking budget.", f"Use a number of tokens, or one of: {_LEVELS}.")
            return None
        tokens: int | None = int(word)
    else:
        tokens = value.whole(least=-1)
    most = options.get("max_tokens")
    if tokens is not None and isinstance(most, int) and tokens >= most:
        value.report(
            f"The thinking budget of {tokens} tokens leaves no room for an answer, as `max_tokens` is {most}.",
            "Make it smaller than `max_tokens`.",
        )
    return tokens


def expandable(value: Value, text: str) -> bool:
    """Check that every `${…}` in a text will be replaced when a task starts; one that will not be is noted."""
    fault = template_fault(text)
    if fault is not None:
        value.report(f"{quoted(fault)} is not understood here.", "Write ${env.NAME}, or ${env.NAME || 'default'}.")
    return fault is None


def read_cost(given: Value | None) -> Cost | None:
    """Read `cost`: what a million tokens cost."""
    section = given.section(COST) if given is not None else None
    if section is None:
        return None
    return Cost(
        **{key: price for key, value in section.values.items() if (price := value.number(most=1e6)) is not None}
    )


def read_fallback(given: Value | None, find: Callable[[Value], ModelConfig | None]) -> Fallback:
    """Read `fallback`; `find` returns the model that a reference means, and notes a wrong one."""
    section = given.section(FALLBACK) if given is not None else None
    if section is None:
        return Fallback()
    models, retries, cooldown = section.get("models"), section.get("retries"), section.get("cooldown")
    chosen: dict[str, Any] = {}
    if models is not None:
        found = [find(item) for item in models.items() or ()]
        chosen["models"] = tuple(model for model in found if model is not None)
    # As in Docker's agent files: -1 means no retries, and 0 is the default.
    if retries is not None and (number := retries.whole(least=-1)):
        chosen["retries"] = max(0, number)
    if cooldown is not None and (duration := cooldown.seconds()):
        chosen["cooldown"] = duration
    return Fallback(**chosen)


def read_old_tool_tokens(given: Value | None) -> int:
    """Read `max_old_tool_call_tokens`: -1 means no bound, and 0 is the default."""
    number = given.whole(least=-1) if given is not None else None
    default: int = AgentConfig(name="").max_old_tool_call_tokens
    return max(0, number) if number else default


def with_structured_output(agent: AgentConfig, given: Value | None) -> AgentConfig:
    """Return an agent whose models answer in the form that `structured_output` describes."""
    section = given.section(STRUCTURED_OUTPUT) if given is not None else None
    if given is None or section is None:
        return agent
    for key in ("name", "schema"):
        if not section.means(key):
            given.report(f"There is no `{key}` here.", "Give a `name` and a `schema`, which is a JSON schema.")
    form: dict[str, Any] = {}
    for key, value in section.values.items():
        match key:
            case "schema":
                form[key] = _data(value, expanded=True) if value.entries() is not None else None
            case "strict":
                form[key] = value.boolean()
            case _:
                text = value.text(blank=key != "name")
                form[key] = text if text is None or expandable(value, text) else None
    name = form.get("name")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        section.values["name"].report("This name does not pass.", "Use letters, digits, `_` and `-`; 64 at most.")
    if agent.model is not None and agent.model.is_function:
        given.report("The agent's model is a function; `structured_output` is without effect.", "Remove it.")
    option = {"response_format": {"type": "json_schema", "json_schema": form}}

    def formed(model: ModelConfig) -> ModelConfig:
        return msgspec.structs.replace(model, options={**model.options, **option})

    fallback = msgspec.structs.replace(agent.fallback, models=tuple(map(formed, agent.fallback.models)))
    model = formed(agent.model) if agent.model is not None else None
    return msgspec.structs.replace(agent, model=model, fallback=fallback)


def _expandable_key(value: Value, key: str) -> bool:
    """Check that a key refers to nothing: only values are replaced. One that does is noted."""
    if "${" in key:
        value.report(f"{quoted(key)} is a key, and nothing is replaced in keys.", "Write the name itself.")
    return "${" not in key


def _data(value: Value, *, expanded: bool = False) -> Any:
    """Read anything that JSON can hold; what it cannot is noted and left out.

    Args:
        value: what to read.
        expanded: whether references to the environment will be replaced in it; others are noted then.
    """
    match value.node.value:
        case dict():
            return {
                name: _data(item, expanded=expanded)
                for name, item in (value.entries() or {}).items()
                if not expanded or _expandable_key(item, name)
            }
        case tuple():
            return [_data(item, expanded=expanded) for item in value.items() or ()]
        case str():
            text = value.text(blank=True)
            return text if text is None or not expanded or expandable(value, text) else None
        case int() | float() as number if not isinstance(number, bool):
            if math.isfinite(number):
                # A whole number too large for the way to the task's process is not a parameter of anything.
                return number if isinstance(number, float) else value.whole(least=-(2**63))
            value.report("JSON has no such number.", "Give a finite number.")
            return None
        case other:
            return other
