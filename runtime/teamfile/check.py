"""Check: checks what a team file holds, and makes a `Team` of it.

It finds all mistakes in one go and notes each once, at its place; one mistake must not make others appear. Nothing here
reads files, imports the author's code or looks at the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..team.config import AgentConfig, Privileges, Team, Workdir
from ..team.key_variables import keys_of_agents, keys_of_models, keys_of_server
from .keys import AGENT, RUNTIME, TOP, VERSIONS
from .limits import read_limits, read_restart, read_settings
from .mcp import McpDefinitions, read_definitions, server_of
from .models import Models, read_entrypoint, read_models
from .permissions import read_permissions
from .places import read_place, read_places, read_resources
from .requests import read_fallback, read_old_tool_tokens, with_structured_output
from .toolsets import read_toolset, toolset_type
from .values import Section, Value, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..team.places import PlaceConfig
    from .nodes import Findings, Node
    from .places import KnownPlaces

__all__ = ["LOOP_KEYS", "MODEL_KEYS", "check"]

LOOP_KEYS = (
    "max_iterations",
    "max_old_tool_call_tokens",
    "num_history_items",
    "add_prompt_files",
    "add_date",
    "add_environment_info",
)
"""What the agent loop makes of an agent, and an agent that is a function of its own does not."""

MODEL_KEYS = ("fallback", "structured_output")
"""What says how an agent's model answers."""


def check(node: Node, findings: Findings, given: Iterable[PlaceConfig] | None = None) -> Team | None:
    """Return the team, or None if anything is wrong, here or in what `findings` already holds.

    Args:
        node: the file.
        findings: takes what is wrong.
        given: places that a program gives in place of the file's; None: it gives none.
    """
    top = Value(node, "", findings).section(TOP)
    if top is None:
        return None
    _check_version(top)
    _check_metadata(top)
    models = read_models(top)
    mcps = read_definitions(top)
    settings = top.get("runtime")
    runtime = settings.section(RUNTIME) if settings is not None else None
    places = read_places(top, runtime, given)
    agents = _agents(Value(node, "", findings), top, _Defined(models, mcps, places))
    permissions = read_permissions(top, agents)
    in_force = read_settings(runtime, places.configs, places.default)
    if findings.problems or not agents:
        return None
    return Team(
        source=findings.source,
        agents=agents,
        root="root" if "root" in agents else next(iter(agents)),
        settings=in_force,
        permissions=permissions,
        ignored=findings.ignored,
        key_variables=_key_variables(models, mcps, agents),
    )


def _key_variables(models: Models, mcps: McpDefinitions, agents: Mapping[str, AgentConfig]) -> tuple[str, ...]:
    """Return the variables that hold keys of what is defined and no agent uses: they are not for everybody either."""
    defined = [model for model in models.models.values() if model is not None]
    names = {*keys_of_models(defined)}
    names.update(name for own in models.providers.values() if own is not None for name in own.key_variables)
    for fields in mcps.definitions.values():
        names.update(keys_of_server(server_of(fields)) if fields is not None else ())
    return tuple(sorted(names.difference(keys_of_agents(agents.values()))))


def _check_version(top: Section) -> None:
    version = top.get("version")
    if version is None:
        return
    value = version.node.value
    # A truth is an int to Python.
    if isinstance(value, bool) or str(value) not in {str(known) for known in VERSIONS}:
        version.report(
            "There is no such version of Docker's agent files.",
            f"Use a whole number from {VERSIONS[0]} to {VERSIONS[-1]}, or leave the key out.",
        )


def _check_metadata(top: Section) -> None:
    metadata = top.get("metadata")
    if metadata is not None:
        metadata.entries()


class _Defined(NamedTuple):
    """What agents refer to by names."""

    models: Models
    mcps: McpDefinitions
    places: KnownPlaces


def _agents(file: Value, top: Section, defined: _Defined) -> dict[str, AgentConfig]:
    given = top.get("agents")
    if given is None:
        if not top.means("agents"):
            file.report("There are no `agents`.", "Give at least one agent under `agents`.")
        return {}
    entries = given.entries()
    if entries is not None and not given.node.value:
        given.report("There are no agents here.", "Give at least one.")
    checked = {name: _agent(name, value, entries or {}, defined) for name, value in (entries or {}).items()}
    return {name: agent for name, agent in checked.items() if agent is not None}


def _agent(name: str, value: Value, names: Mapping[str, Value], defined: _Defined) -> AgentConfig | None:
    section = value.section(AGENT)
    if section is None:
        return None
    models, mcps, places = defined
    model, entrypoint = section.get("model"), section.get("entrypoint")
    if entrypoint is not None:
        _report_without_effect(entrypoint, section)
    elif not section.means("model") and not section.means("entrypoint"):
        value.report(
            "This agent has neither `model` nor `entrypoint`.", "Give it a `model`, such as `openai/gpt-4o`."
        )  # fmt: skip
    workdir, keys, privileges = section.get("workdir"), section.get("keys"), section.get("privileges")
    files = section.get("add_prompt_files")
    place = read_place(section.get("place"), places)
    agent = AgentConfig(
        name=name,
        fallback=read_fallback(section.get("fallback"), models.find),
        max_old_tool_call_tokens=read_old_tool_tokens(section.get("max_old_tool_call_tokens")),
        model=models.find(model) if model is not None else None,
        entrypoint=read_entrypoint(entrypoint) if entrypoint is not None else None,
        description=section.text("description"),
        instruction=_instruction(section),
        sub_agents=_sub_agents(name, section, names),
        toolsets=tuple(toolset for item in _toolsets(section) if (toolset := read_toolset(item, mcps)) is not None),
        max_iterations=section.whole("max_iterations"),
        num_history_items=section.whole("num_history_items"),
        add_prompt_files=files.file_names() if files is not None else (),
        add_date=section.boolean("add_date"),
        add_environment_info=section.boolean("add_environment_info"),
        workdir=_workdir(workdir) if workdir is not None else "shared",
        privileges=_privileges(privileges) if privileges is not None else "drop",
        limits=read_limits(section.get("limits")),
        restart=read_restart(section.get("restart")),
        keys=keys is None or keys.boolean() is not False,
        place=place,
        resources=read_resources(section.get("resources"), place, places),
    )
    return with_structured_output(agent, section.get("structured_output"))


def _workdir(given: Value) -> Workdir:
    text = given.text()
    kinds: dict[str, Workdir] = {"shared": "shared", "private": "private", "worktree": "worktree"}
    if text is not None and text not in kinds:
        given.unknown("kind of working directory", text, kinds)
    return kinds.get(text or "", "shared")


def _privileges(given: Value) -> Privileges:
    text = given.text()
    choices: dict[str, Privileges] = {"drop": "drop", "keep": "keep"}
    if text is not None and text not in choices:
        given.unknown("choice of privileges", text, choices)
    return choices.get(text or "", "drop")


def _report_without_effect(entrypoint: Value, section: Section) -> None:
    without = [key for key in LOOP_KEYS if section.get(key) is not None]
    if without:
        entrypoint.report(
            f"An agent with an `entrypoint` is a function, and has no loop; without effect: {listed(without)}.",
            "Remove these keys, or give the agent a `model` in place of the `entrypoint`.",
        )
    without = [key for key in MODEL_KEYS if section.get(key) is not None]
    if without and not section.means("model"):
        entrypoint.report(
            f"This agent has no `model`; without effect: {listed(without)}.",
            "Give it a `model`, which its function finds in `task.model`, or remove these keys.",
        )


def _instruction(section: Section) -> str:
    given = section.get("instruction")
    if given is None:
        return ""
    if not isinstance(given.node.value, tuple):
        return given.text(blank=True) or ""
    return "\n".join(item.text(blank=True) or "" for item in given.items() or ())


def _sub_agents(name: str, section: Section, names: Mapping[str, Value]) -> tuple[str, ...]:
    given = section.get("sub_agents")
    chosen: dict[str, None] = {}
    for item, other in (given.texts() if given is not None else None) or ():
        if other == name:
            item.report(
                "An agent cannot be its own sub-agent.", "Name another agent, or define one that does the same."
            )
        elif other in chosen:
            item.report(f"{quoted(other)} is listed twice.", "Keep it once.")
        elif other not in names:
            _report_agent(item, other, [known for known in names if known != name])
        chosen[other] = None
    return tuple(chosen)


def _report_agent(item: Value, other: str, names: Iterable[str]) -> None:
    meant = item.nearest(other, names)
    if meant is None and ("/" in other or ":" in other):
        item.report("Agents of other files are not supported by this version.", "Define the agent under `agents`.")
        return
    remedy = f"Did you mean `{meant}`?" if meant else f"Known are: {listed(names) or 'no others'}."
    item.report(f"There is no agent {quoted(other)}.", remedy)


def _toolsets(section: Section) -> list[Value]:
    """Return the entries of an agent's `toolsets`, after a look at what they need of the agent."""
    given = section.get("toolsets")
    items = (given.items() if given is not None else None) or []
    sub_agents = section.get("sub_agents")
    has_none = sub_agents.node.value == () if sub_agents is not None else not section.means("sub_agents")
    for item in items:
        if has_none and toolset_type(item) == "background_agents":
            item.report(
                "This agent has no `sub_agents` that `background_agents` could start.",
                "List them under `sub_agents`, or remove the toolset.",
            )
    return items
