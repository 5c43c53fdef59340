"""Keys: the keys of a team file, level by level: read, ignored, or refused because the file would lose something.

Tables only. The refused and ignored keys are those of Docker's agent files; a key in none of the tables is a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from ..team.config import Limits, Settings
from ..team.toolset_kinds import TOOLSETS
from .values import Keys

__all__ = [
    "AGENT",
    "COST",
    "FALLBACK",
    "LIMITS",
    "MCP",
    "MODEL",
    "PERMISSIONS",
    "PROVIDER",
    "PROVIDER_OPTS",
    "REMOTE",
    "RESTART",
    "RUNTIME",
    "SCRIPT",
    "STRUCTURED_OUTPUT",
    "TOOLSET",
    "TOOLSET_OWNERS",
    "TOP",
    "UNSUPPORTED_TOOLSETS",
    "VERSIONS",
]

VERSIONS = range(17)
"""Of Docker's agent files: what we read has the same meaning in all of them."""

_TOP = Keys(
    supported=frozenset({"agents", "models", "providers", "permissions", "metadata", "version", "runtime", "mcps"}),
    ignored=frozenset({"commands", "evaluators"}),
    refused=MappingProxyType(
        {
            "rag": "its retrieval from documents",
            "toolsets": "the toolsets that agents share",
            "skills": "its skills",
            "budget": "its limit on cost",
            "budgets": "its limits on cost",
            "flavors": "its variants",
            "hooks": "the commands run at its hooks",
        }
    ),
    elsewhere=MappingProxyType(
        {
            "structured_output": "in an agent",
            "handoffs": "in an agent",
            "fallback": "in an agent",
            "sub_agents": "in an agent",
            "instruction": "in an agent",
            "model": "in an agent; definitions of models go under `models`",
        }
    ),
)

_AGENT = Keys(
    supported=frozenset(
        {
            "model",
            "entrypoint",
            "description",
            "instruction",
            "sub_agents",
            "toolsets",
            "max_iterations",
            "add_date",
            "add_environment_info",
            "limits",
            "restart",
            "workdir",
            "privileges",
            "fallback",
            "structured_output",
            "max_old_tool_call_tokens",
            "num_history_items",
            "add_prompt_files",
            "keys",
            "place",
            "resources",
        }
    ),
    ignored=frozenset({"welcome_message", "commands", "use_commands", "title_model", "add_description_parameter"}),
    refused=MappingProxyType(
        {
            "handoffs": "the agents that it hands its conversation to",
            "force_handoff": "the agent that it hands its conversation to",
            "rag": "its retrieval from documents",
            "mcps": "its MCP servers and their tools",
            "skills": "its skills",
            "use_skills": "its skills",
            "use_toolsets": "the toolsets it shares with other agents",
            "hooks": "the commands run at its hooks",
            "harness": "the program that runs the agent",
            "instruction_file": "its instruction",
            "add_prompt_files_depth": "the list of files below its working directory",
            "code_mode_tools": "calling its tools from code",
            "max_consecutive_tool_calls": "the bound on repeated tool calls",
            "max_tool_result_tokens": "the bound on tool answers",
            "session_compaction": "the shortening of long conversations",
            "compaction_threshold": "the shortening of long conversations",
            "compaction_model": "the shortening of long conversations",
            "readonly": "the restriction to tools that change nothing",
            "safety": "its safety mode",
            "redact_secrets": "the removal of secrets from what it reads and writes",
            "budget": "its limit on cost",
            "budgets": "its limits on cost",
            "cache": "its cache of answers",
        }
    ),
)

MODEL = Keys(
    supported=frozenset(
        {
            "provider",
            "model",
            "base_url",
            "token_key",
            "temperature",
            "max_tokens",
            "top_p",
            "frequency_penalty",
            "presence_penalty",
            "parallel_tool_calls",
            "provider_opts",
            "thinking_budget",
            "cost",
        }
    ),
    ignored=frozenset({"description", "title_model", "track_usage", "capabilities", "bypass_models_gateway"}),
    refused=MappingProxyType(
        {
            "task_budget": "the bound on a task's tokens",
            "routing": "the choice of a model by the question",
            "first_available": "the choice of the first model that is available",
            "auth": "its way to authenticate",
            "compaction_model": "the shortening of long conversations",
            "compaction_threshold": "the shortening of long conversations",
        }
    ),
    elsewhere=MappingProxyType({"fallback": "in an agent", "structured_output": "in an agent"}),
)

_PROVIDER_SUPPORTED = frozenset({"base_url", "token_key", "api_type"})
PROVIDER = Keys(
    supported=_PROVIDER_SUPPORTED,
    refused=MappingProxyType(
        {"provider": "what it takes from another provider"}
        | dict.fromkeys(
            sorted(MODEL.supported - _PROVIDER_SUPPORTED - {"provider", "model"}), "a default of its models"
        )
    ),
)

COST = Keys(supported=frozenset({"input", "output", "cache_read", "cache_write"}))

PROVIDER_OPTS = MappingProxyType(
    {
        "runtime_flags": "the flags of the model runner",
        "runtime_mode": "the mode of the model runner",
        "context_size": "the size of the model runner's context",
        "speculative_draft_model": "the model runner's speculative decoding",
        "speculative_num_tokens": "the model runner's speculative decoding",
        "speculative_acceptance_rate": "the model runner's speculative decoding",
        "interleaved_thinking": "its thinking between tool calls",
        "transport": "its way to the provider",
    }
)
"""The options of Docker's agent files that are not parameters of a request; all others go into each request."""

FALLBACK = Keys(supported=frozenset({"models", "retries", "cooldown"}))

STRUCTURED_OUTPUT = Keys(supported=frozenset({"name", "description", "schema", "strict"}))

PERMISSIONS = Keys(supported=frozenset({"allow", "ask", "deny"}))

_RUNTIME = Keys(
    supported=frozenset(setting.name for setting in msgspec.structs.fields(Settings)),
    refused=MappingProxyType(
        {
            "sandbox": "its confinement to a sandbox",
            "safety": "its safety mode",
            "network_allowlist": "the bound on its network access",
        }
    ),
)

LIMITS = Keys(
    supported=frozenset(limit.name for limit in msgspec.structs.fields(Limits)),
    elsewhere=MappingProxyType({"max_iterations": "in the agent, or here as `iterations`"}),
)

RESTART = Keys(supported=frozenset({"policy", "max_restarts", "period", "backoff", "max_backoff"}))

TOOLSET = Keys(
    supported=frozenset({"type", "tools", "instruction", "optional"}),
    ignored=frozenset({"lifecycle"}),
    refused=MappingProxyType(
        {
            "toon": "the short form of its answers",
            "defer": "loading its tools when they are needed",
            "model": "the model that reads its answers",
            "working_dir": "its working directory",
            "readonly": "the restriction to tools that change nothing",
            "ignore_vcs": "the treatment of files that version control ignores",
            "post_edit": "the commands run after an edit",
            "deny_list": "the folders it must stay out of",
        }
    ),
)
"""What every toolset may have; `toolsets` adds the keys of each type."""

MCP = Keys(
    supported=frozenset(TOOLSETS["mcp"].options),
    ignored=frozenset({"version"}),
    refused=MappingProxyType({key: loss for key, loss in TOOLSET.refused.items() if key != "working_dir"}),
)
"""What a toolset of type `mcp`, and a definition under `mcps`, may have beside what every toolset may."""

REMOTE = Keys(
    supported=frozenset({"url", "transport_type", "headers"}),
    refused=MappingProxyType({"oauth": "its way to sign in"}),
)

SCRIPT = Keys(supported=frozenset({"cmd", "description", "args", "required", "env", "working_dir"}))
"""What an entry of the `shell` of a toolset of type `script` may have."""


def _placed(keys: Keys, places: Mapping[str, Keys]) -> Keys:
    """Return keys that know those of other places, too: who writes one of them here is told where it belongs."""
    known = keys.supported | keys.ignored | keys.refused.keys() | keys.elsewhere.keys()
    found: dict[str, list[str]] = {}
    for place, others in places.items():
        for key in others.supported - known:
            found.setdefault(key, []).append(place)
    elsewhere = {key: " or ".join(where) for key, where in found.items()}
    return msgspec.structs.replace(keys, elsewhere=MappingProxyType({**keys.elsewhere, **elsewhere}))


TOP = _placed(_TOP, {"under `runtime`": _RUNTIME, "in an agent": _AGENT})
AGENT = _placed(_AGENT, {"under `runtime`": _RUNTIME, "in a model, under `models`": MODEL})
RUNTIME = _placed(_RUNTIME, {"at the top of the file": _TOP, "in an agent": _AGENT})

_ELSEWHERE = MappingProxyType(
    {
        "todo": ("shared",),
        "mcp": ("version",),
        "tasks": ("path",),
        "lsp": ("command", "args", "version", "file_types"),
        "a2a": ("name", "url", "headers"),
        "openapi": ("url", "headers"),
        "api": ("api_config",),
        "model_picker": ("models",),
    }
)
"""Keys of types of toolsets that only these may have in Docker's agent files, and that mean nothing in this version."""


def _owners() -> dict[str, tuple[str, ...]]:
    owners: dict[str, tuple[str, ...]] = {}
    for name, keys in [*((name, kind.options) for name, kind in TOOLSETS.items()), *_ELSEWHERE.items()]:
        for key in keys:
            owners[key] = (*owners.get(key, ()), name)
    return owners


TOOLSET_OWNERS = MappingProxyType(_owners())
"""Keys that only some types of toolsets have, and which."""

UNSUPPORTED_TOOLSETS = MappingProxyType(
    {
        "tasks": "its list of tasks on disk",
        "mcp_catalog": "the tools of MCP servers",
        "api": "its tools made of HTTP requests",
        "openapi": "the tools of this HTTP service",
        "a2a": "the remote agent",
        "lsp": "the tools of this language server",
        "model_picker": "its change of models",
        "file": "its access to single files",
        "git": "its access to git",
        "background_jobs": "its commands in the background",
        "scheduler": "its schedule",
        "environment": "its view of the environment",
        "plan": "its plan",
        "session_context": "its view of the session",
        "open_url": "opening pages in a browser",
        "webhook": "its calls of webhooks",
    }
)
"""Types of toolsets that Docker's agent files may have and this version has not; to what the file would lose."""
