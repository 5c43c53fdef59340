"""JSON schema: what editors are told of team files, made from the tables that the loader reads with.

`keys` and `team/toolset_kinds` say which keys there are; a key that has no schema here, or one too many, is an error.
What a schema cannot say is in `docs/team-file.md`: it knows no names of the file itself, and no places of this machine.
"""

from __future__ import annotations

from typing import Final, get_args

import msgspec

from ...actors import Restart, RestartPolicy
from ..models.thinking import LEVELS
from ..team.config import (
    LARGEST_LIMIT,
    MAY_BE_ZERO,
    PYTHON,
    AgentConfig,
    Cost,
    Fallback,
    Limits,
    Privileges,
    Settings,
    Workdir,
)
from ..team.toolset_kinds import TOOLSETS, Reading, ToolsetKind
from . import keys
from .check import LOOP_KEYS, MODEL_KEYS
from .lifecycle import BACKOFF, LIFECYCLE, PROFILES, RESTARTS
from .limits import LEAST_MEMORY, SIZES
from .mcp import TRANSPORTS
from .place_schema import PLACE, resources, team_places
from .requests import API_TYPE, OURS, PARAMETERS
from .schema_values import (
    BLANK,
    BOOLEAN,
    ENVIRONMENT,
    MAPPING,
    PATH,
    PATHS,
    TARGET,
    TEXT,
    TEXTS,
    URL,
    Schema,
    given,
    in_any_case,
    listing,
    neither,
    number,
    off,
    one_of,
    seconds,
    section,
    size,
    told,
    when,
    whole,
)
from .scripts import CHECKED, TYPES
from .toolsets import ON_FINISH, keys_of

__all__ = ["team_file_schema"]

_NAME: Final[Schema] = {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"}
_DOCKER: Final[Schema] = {"required": ["ref"], "properties": {"ref": {"type": "string", "pattern": "^docker:"}}}

_PATTERN: Final[Schema] = {"type": "string", "pattern": r"^(?=.*\S)[^:]*(:[^=]+=[\s\S]*)?$"}

_READINGS: Final[dict[Reading, Schema]] = {
    "boolean": BOOLEAN,
    "seconds": seconds(above=True),
    "file": PATH,
    "folders": PATHS,
    "environment": ENVIRONMENT,
    "domains": listing({"type": "string", "pattern": r"^(\*?\.)?[^\s/:*]+$"}),
    "on_finish": one_of(ON_FINISH),
}


def team_file_schema() -> Schema:
    """Return the schema of team files, for draft 7, which editors know best."""
    top = section(
        keys.TOP,
        {
            "agents": _names(_ref("agent"), "The agents, by name; `root`, or else the first, is the root.", least=1),
            "models": _names(_ref("model"), "Definitions of models, by the names that agents use."),
            "providers": _names(_ref("provider"), "Providers of your own, by name."),
            "mcps": _names(_ref("mcp"), "MCP servers that toolsets refer to, by name."),
            "permissions": section(keys.PERMISSIONS, dict.fromkeys(keys.PERMISSIONS.supported, listing(_PATTERN))),
            "runtime": _settings(),
            "metadata": MAPPING,
            "version": {"enum": [*keys.VERSIONS, *map(str, keys.VERSIONS)]},
        },
        required=["agents"],
    )
    definitions = {
        "agent": _agent(),
        "model": _model(),
        "provider": _provider(),
        "mcp": _mcp_definition(),
        "toolset": _toolset(),
        "limits": _limits(),
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Team file of subactors"}
    return {**head, **top, "definitions": definitions}


def _ref(name: str) -> Schema:
    return {"allOf": [{"$ref": f"#/definitions/{name}"}]}


def _names(entry: Schema, description: str, *, least: int = 0) -> Schema:
    """Return the schema of a mapping of the author's own names."""
    bound = {"minProperties": least} if least else {}
    names = {"propertyNames": {"pattern": r"\S"}}
    return {"type": "object", "description": description, **names, "additionalProperties": entry, **bound}


def _agent() -> Schema:
    values: dict[str, Schema] = {
        "model": TEXT,
        "entrypoint": TARGET,
        "description": BLANK,
        "instruction": {**listing(BLANK), "type": ["string", "array"]},
        "sub_agents": {**TEXTS, "uniqueItems": True},
        "toolsets": listing(_ref("toolset")),
        "max_iterations": whole(0),
        "max_old_tool_call_tokens": whole(-1),
        "num_history_items": whole(0),
        "add_prompt_files": PATHS,
        "add_date": BOOLEAN,
        "add_environment_info": BOOLEAN,
        "limits": _ref("limits"),
        "restart": _restart(),
        "workdir": one_of(get_args(Workdir)),
        "privileges": one_of(get_args(Privileges)),
        "fallback": section(
            keys.FALLBACK,
            told({"models": TEXTS, "retries": whole(-1), "cooldown": seconds()}, Fallback),
        ),
        "structured_output": _structured_output(),
        "keys": BOOLEAN,
        "place": PLACE,
        "resources": resources(),
    }
    starts = {
        "contains": {"type": "object", "required": ["type"], "properties": {"type": {"const": "background_agents"}}}
    }
    rules = [
        {"anyOf": [given("model"), given("entrypoint")]},
        when(given("entrypoint"), neither(*LOOP_KEYS)),
        when(neither("model"), neither(*MODEL_KEYS)),
        when(
            {"required": ["toolsets"], "properties": {"toolsets": {"type": "array", **starts}}},
            {**given("sub_agents"), "properties": {"sub_agents": {"minItems": 1, "not": {"type": "null"}}}},
        ),
    ]
    return section(keys.AGENT, told(values, AgentConfig), allOf=rules)


def _structured_output() -> Schema:
    name = {"type": "string", "pattern": r"^[A-Za-z0-9_-]{1,64}$"}
    values = {"name": name, "description": BLANK, "schema": MAPPING, "strict": BOOLEAN}
    return section(keys.STRUCTURED_OUTPUT, values, required=["name", "schema"])


def _restart() -> Schema:
    policies = one_of(get_args(Restart))
    values = {
        "policy": policies,
        "max_restarts": whole(0),
        "period": seconds(above=True),
        "backoff": seconds(),
        "max_backoff": seconds(),
    }
    return {"anyOf": [policies, section(keys.RESTART, told(values, RestartPolicy), required=["policy"])]}


def _limits() -> Schema:
    values: dict[str, Schema] = {limit.name: whole(1) for limit in msgspec.structs.fields(Limits)}
    values |= {"wall_clock": seconds(above=True), "cpu": seconds(above=True), "cost": number(above=True)}
    values |= {"memory": size(LEAST_MEMORY), "output": size(1)}
    values = {name: {**value, "maximum": LARGEST_LIMIT} for name, value in values.items()}
    return section(keys.LIMITS, told(values, Limits))


def _settings() -> Schema:
    values: dict[str, Schema] = {}
    for setting in msgspec.structs.fields(Settings):
        may_be_zero = setting.name in MAY_BE_ZERO
        if setting.name in SIZES:
            values[setting.name] = size(1)
        elif setting.type is int:
            values[setting.name] = whole(0 if may_be_zero else 1)
        else:
            values[setting.name] = seconds(above=not may_be_zero)
    values["limits"] = _ref("limits")
    values["places"] = team_places()
    values["place"] = PLACE
    values["preload"] = listing({"type": "string", "pattern": r"^[^\s.:]+(\.[^\s.:]+)*$"})
    return section(keys.RUNTIME, told(values, Settings))


def _model() -> Schema:
    refused = {key: off(f"Not supported: the file would lose {loss}.") for key, loss in keys.PROVIDER_OPTS.items()}
    moved = dict.fromkeys([*OURS, *PARAMETERS, "max_tokens", "parallel_tool_calls"], False)
    words = "|".join(map(in_any_case, LEVELS))
    budget = {"type": "string", "pattern": rf"^\s*(-1|\d{{1,9}}|({in_any_case('adaptive')}/)?({words}))\s*$"}
    values: dict[str, Schema] = {
        "provider": {"type": "string", "pattern": r"^(?!.*\$\{).*\S"},
        "model": TEXT,
        "base_url": URL,
        "token_key": {**_NAME, "description": "The name of the variable that holds the key, never the key."},
        **{name: number(least, most) for name, (least, most) in PARAMETERS.items()},
        "max_tokens": whole(1),
        "parallel_tool_calls": BOOLEAN,
        "provider_opts": {"type": "object", "properties": {**refused, **moved, "api_type": {"const": API_TYPE}}},
        "thinking_budget": {**budget, "type": ["integer", "boolean", "string"], "minimum": -1},
        "cost": section(keys.COST, told(dict.fromkeys(keys.COST.supported, number(0, 1e6)), Cost)),
    }
    is_function = {"required": ["provider"], "properties": {"provider": {"pattern": f"^{in_any_case(PYTHON)}$"}}}
    rules = [when(is_function, neither(*sorted(keys.MODEL.supported - {"provider", "model"})))]
    return section(keys.MODEL, values, required=["provider", "model"], allOf=rules)


def _provider() -> Schema:
    values = {"base_url": URL, "token_key": _NAME, "api_type": {"const": API_TYPE}}
    return section(keys.PROVIDER, values, required=["base_url"])


def _mcp_values() -> dict[str, Schema]:
    remote = {
        "url": {"type": "string", "pattern": r"^(https?://(?![^/]*@)[^/\s]|\$\{env\.)"},
        "transport_type": one_of(TRANSPORTS),
        "headers": {
            "type": "object",
            "propertyNames": {"pattern": r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
            "additionalProperties": {"type": "string", "pattern": r"^[^\r\n]*$"},
        },
    }
    return {
        "command": TEXT,
        "args": listing(BLANK),
        "env": ENVIRONMENT,
        "cwd": PATH,
        "working_dir": PATH,
        "remote": section(keys.REMOTE, remote, required=["url"]),
        "ref": {"type": "string", "pattern": r"^(?!docker:).*\S|^docker:[\w.-]+$"},
        "config": MAPPING,
        "name": TEXT,
        "timeout": seconds(above=True),
        "startup_timeout": seconds(above=True),
        "lifecycle": _lifecycle(),
    }


def _lifecycle() -> Schema:
    backoff = {"initial": seconds(), "max": seconds(), "multiplier": number(above=True), "jitter": number(0, 1)}
    values = {
        "profile": one_of(PROFILES),
        "restart": one_of(RESTARTS),
        "max_restarts": whole(-1),
        "backoff": section(BACKOFF, backoff),
        "required": BOOLEAN,
        "startup_timeout": seconds(),
        "call_timeout": seconds(),
    }
    return section(LIFECYCLE, values)


_ONE_SERVER: Final[list[Schema]] = [
    {"anyOf": [given("command"), given("remote"), given("ref")]},
    {"not": given("command", "remote")},
    {"not": given("cwd", "working_dir")},
    when(given("command"), {**neither("config"), "not": _DOCKER}),
    when(given("remote"), {**neither("args", "cwd", "working_dir", "env", "config"), "not": _DOCKER}),
    when(_DOCKER, neither("args", "cwd", "working_dir")),
]
"""Exactly one server is named, and the other keys belong to its kind."""


def _mcp_definition() -> Schema:
    values = {**_mcp_values(), "type": {"const": "mcp"}, "tools": TEXTS, "instruction": BLANK, "optional": BOOLEAN}
    values["ref"] = {"type": "string", "pattern": r"^docker:[\w.-]+$"}
    known = keys.MCP.supported | {"type", "tools", "instruction", "optional"}
    return section(msgspec.structs.replace(keys.MCP, supported=known), values, allOf=_ONE_SERVER)


def _toolset() -> Schema:
    """Return the schema of an entry of `toolsets`: by its type, which keys it may have."""
    kinds = [
        when({"required": ["type"], "properties": {"type": {"const": name}}}, _kind(name, kind))
        for name, kind in TOOLSETS.items()
    ]
    return {"type": "object", "required": ["type"], "properties": {"type": one_of(TOOLSETS)}, "allOf": kinds}


def _kind(name: str, kind: ToolsetKind) -> Schema:
    tools = one_of(kind.tools) if kind.tools is not None else TEXT
    values: dict[str, Schema] = {
        "type": {"const": name},
        "tools": {**listing(tools, least=1), "description": "The tools to keep; without it all of them."},
        "instruction": {**BLANK, "description": "Takes the place of what the toolset says of itself to the model."},
        "optional": {**BOOLEAN, "description": "Whether a task starts without the toolset where it is missing."},
    }
    values |= {key: _READINGS[reading] for key, reading in kind.options.items() if reading != "apart"}
    required = ["type"]
    rules: list[Schema] = [{"not": given(key, same)} for key, same in kind.other_names.items()]
    match name:
        case "background_agents":
            told_of_none = {"on_finish": {"const": "wait"}, "notify": {"const": False}}
            rules.append({"not": {"required": ["on_finish", "notify"], "properties": told_of_none}})
        case "script":
            values["shell"] = _scripts()
            required.append("shell")
        case "python":
            values["functions"] = listing(TARGET, least=1)
            required.append("functions")
        case "mcp":
            values |= _mcp_values()
            rules += _ONE_SERVER
        case _:
            pass
    return section(keys_of(name, kind), values, required=required, **({"allOf": rules} if rules else {}))


def _scripts() -> Schema:
    parameter: Schema = {
        "type": "object",
        "propertyNames": one_of(sorted(CHECKED)),
        "properties": {"type": one_of(TYPES), "enum": {"type": ["array", "null"], "minItems": 1}},
    }
    values = {
        "cmd": TEXT,
        "description": BLANK,
        "args": {"type": "object", "propertyNames": _NAME, "additionalProperties": parameter},
        "required": TEXTS,
        "env": ENVIRONMENT,
        "working_dir": PATH,
    }
    names = {"type": "string", "pattern": r"^[A-Za-z0-9_-]{1,64}$"}
    script = section(keys.SCRIPT, values, required=["cmd"])
    return {"type": "object", "minProperties": 1, "propertyNames": names, "additionalProperties": script}
