"""Key variables: which environment variables hold the secrets of a team, and which of its tasks get them.

The zygote and the tasks inherit none of these variables, and neither does a program that a tool starts: every process
of the same user can read an inherited environment in `/proc`. A task gets the variables that it needs together with its
work. This module knows variables by their names only; a value is read when a task starts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from .expansion import references_in
from .providers import AUTO, PROVIDERS, references_of, resolved
from .secrets import names_a_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .config import AgentConfig, ModelConfig, Team

__all__ = ["Keys", "keys_of_agents", "keys_of_models", "keys_of_server", "known_keys"]

_MORE_KEYS: Final = frozenset(
    """
    ANTHROPIC_AUTH_TOKEN AWS_BEARER_TOKEN_BEDROCK AZURE_OPENAI_API_KEY CLAUDE_CODE_OAUTH_TOKEN CLOUDFLARE_API_TOKEN
    CO_API_KEY COHERE_API_KEY DASHSCOPE_API_KEY DOCKER_AI_API_KEY GOOGLE_GENERATIVE_AI_API_KEY HUGGINGFACE_API_KEY
    HUGGINGFACEHUB_API_TOKEN HUGGING_FACE_HUB_TOKEN LITELLM_API_KEY LITELLM_MASTER_KEY OPENAI_ADMIN_KEY
    OTEL_EXPORTER_OTLP_HEADERS OTEL_EXPORTER_OTLP_LOGS_HEADERS OTEL_EXPORTER_OTLP_METRICS_HEADERS
    OTEL_EXPORTER_OTLP_TRACES_HEADERS PERPLEXITY_API_KEY PPLX_API_KEY REPLICATE_API_TOKEN VOYAGE_API_KEY WATSONX_API_KEY
    ZAI_API_KEY
    """.split()  # noqa: SIM905 - as a list it would be a page
)
"""Under these names, too, people keep keys, of models and of collectors of OpenTelemetry."""

_NO_KEYS: Final = frozenset(
    """
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_ALL LC_CTYPE TERM PWD TMPDIR TMP TEMP TZ HOSTNAME DISPLAY VIRTUAL_ENV
    PYTHONPATH PYTHONHOME LD_LIBRARY_PATH SSL_CERT_FILE SSL_CERT_DIR XDG_RUNTIME_DIR XDG_STATE_HOME XDG_CONFIG_HOME
    XDG_CACHE_HOME XDG_DATA_HOME DOCKER_HOST DOCKER_CONFIG HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy
    https_proxy all_proxy no_proxy SSH_AUTH_SOCK SUBACTORS_STATE_DIR SUBACTORS_CGROUP SUBACTORS_ZYGOTE
    """.split()  # noqa: SIM905 - as a list it would be a page
)
"""What programs do not work without. A team file may refer to one (`X-User: ${env.USER}`), which makes it no key."""


class Keys:
    """The key variables of one team. May be used in any thread.

    Args:
        team: a checked team.

    Attributes:
        names: of all variables that are withheld: those of every provider that is known, and what the team file gives
            to models and MCP servers as a key.
    """

    def __init__(self, team: Team) -> None:
        named = {*keys_of_agents(team.agents.values()), *team.key_variables}
        self.names = known_keys().union(named) - _NO_KEYS
        self._needed = {agent.name: self._needed_by(agent) for agent in team.agents.values()}
        self._names = {os.fsencode(name): name for name in self.names}

    def of(self, agent: AgentConfig, variables: Mapping[bytes, bytes]) -> dict[str, str]:
        """Return what a task of an agent is to be given: the variables that it needs and that are set.

        An agent with code of its own gets all of them, unless it says `keys: false`.

        Args:
            agent: of the team, or what stands for one where a function is the task.
            variables: the host's environment at the moment when the task starts.
        """
        # Of some fifty hardly any is there. Each start would pay for each, and `os.environ` would encode it anew.
        there = {self._names[encoded]: variables[encoded] for encoded in variables.keys() & self._names.keys()}
        if not there:
            return {}
        names = self._needed_by(agent) if agent.entrypoint == "" else self._needed[agent.name]
        held = {name: os.fsdecode(value) for name, value in there.items()}
        if any(model.provider == AUTO for model in agent.models):
            chosen = (resolved(model, held) for model in agent.models if model.provider == AUTO)
            names = names.union(*(model.key_variables for model in chosen))
        return {name: value for name, value in held.items() if name in names}

    def addresses_of(self, agent: AgentConfig, variables: Mapping[bytes, bytes]) -> dict[str, str]:
        """Return what else an agent's models and tools name of the host's environment: no keys, addresses mostly.

        A task on this machine inherits them; one on another has the environment of that.

        Args:
            agent: as of `of`.
            variables: as of `of`.
        """
        names: set[str] = set()
        for model in agent.models:
            names.update(references_of(model))
            provider = PROVIDERS.get(model.provider)
            if provider is not None and provider.address_variable:
                names.add(provider.address_variable)
        for toolset in agent.toolsets:
            names.update(references_in(toolset.options))
        there = {os.fsencode(name): name for name in names - self.names - _NO_KEYS}
        return {name: os.fsdecode(variables[encoded]) for encoded, name in there.items() if encoded in variables}

    def _needed_by(self, agent: AgentConfig) -> frozenset[str]:
        if agent.keys and agent.has_own_code:
            return self.names
        needed: set[str] = set()
        for model in agent.models:
            needed.update(model.key_variables, references_of(model))
        for toolset in agent.toolsets:
            needed.update(references_in(toolset.options))
        return self.names & needed


def known_keys() -> frozenset[str]:
    """Return the variables that hold keys of providers of models, whatever the team is."""
    return _MORE_KEYS.union(*(provider.key_variables for provider in PROVIDERS.values()))


def keys_of_agents(agents: Iterable[AgentConfig]) -> Iterator[str]:
    """Yield the variables that hold keys of agents' models and secrets of their MCP servers."""
    for agent in agents:
        yield from keys_of_models(agent.models)
        for toolset in agent.toolsets:
            if toolset.type == "mcp":
                yield from keys_of_server(toolset.options["server"])


def keys_of_models(models: Iterable[ModelConfig]) -> Iterator[str]:
    """Yield the variables that hold keys of models, as a team file has them."""
    for model in models:
        yield from model.key_variables
        yield from filter(names_a_secret, references_of(model))


def keys_of_server(server: Mapping[str, Any]) -> Iterator[str]:
    """Yield the variables that hold secrets of an MCP server.

    Args:
        server: the fields of `McpDefinition`; some may be missing.
    """
    from .mcp_definition import McpDefinition  # noqa: PLC0415 - most teams have none

    yield from McpDefinition(**server).secret_variables
