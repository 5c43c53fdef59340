"""Team: frozen data of a checked team, without YAML, lines or open defaults.

Only the loader builds a team (`teamfile/load`). A team travels to task processes as plain data. It never holds a
secret: a model names the environment variable of its key, not the key.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ...actors import NEVER, RestartPolicy
from .function_by_value import Function
from .permissions import Permissions
from .places import PlaceConfig, Resources

__all__ = [
    "LARGEST_LIMIT",
    "MAY_BE_ZERO",
    "NO_TEAM",
    "PYTHON",
    "RATE_PATIENCE",
    "AgentConfig",
    "Cost",
    "Fallback",
    "Limits",
    "ModelConfig",
    "Privileges",
    "Settings",
    "Team",
    "ToolsetConfig",
    "Workdir",
]

PYTHON = "python"
"""The provider whose models are functions."""

RATE_PATIENCE = 600.0
"""Seconds that a turn waits for a rate limit, where the team file does not say: longer than any window of a minute."""

Privileges: TypeAlias = Literal["drop", "keep"]
"""Whether an agent's tasks can gain privileges, as by `sudo`, and are behind no fence then."""

Workdir: TypeAlias = Literal["shared", "private", "worktree"]
"""Where an agent's tasks work."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Cost of a model's tokens, in US dollars per million.

    Attributes:
        input: prompt tokens; None: unknown, and counted as nothing.
        output: completion tokens; None: the same.
        cache_read: prompt tokens that the server had in its cache; None: as `input`.
        cache_write: prompt tokens that it put there; None: as `input`.
    """

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One model, resolved: where to send requests, or which function to call. `providers.endpoint` says where exactly.

    Attributes:
        reference: as the team file has it (`openai/gpt-4o`, `python/package.module:function`, a name from `models`).
        provider: provider's name; `python` for a function.
        name: the model's name at the provider, in which `${env.NAME}` is replaced, as in `base_url` and the texts of
            `options`; for `python` the target `package.module:function`.
        base_url: root of the OpenAI-compatible endpoint, where the team file gives one; empty: the provider's own,
            which the environment may override (`OPENAI_BASE_URL`, `OLLAMA_HOST`, `MODEL_RUNNER_HOST`); and for
            `python`.
        key_variables: environment variables that may hold the key, first set one wins; empty: no key is needed.
        options: further parameters of each request (`temperature`, `max_tokens`, `top_p`, …), under the endpoint's
            names for them; None takes a parameter out that every request has otherwise.
        thinking_budget: how much it is to think before it answers, in tokens or as a level; None: as it likes.
        cost: what its tokens cost; None: unknown, and not counted.
    """

    reference: str
    provider: str
    name: str
    base_url: str = ""
    key_variables: tuple[str, ...] = ()
    options: dict[str, Any] = {}
    thinking_budget: int | str | None = None
    cost: Cost | None = None

    @property
    def is_function(self) -> bool:
        """Whether it is a function of the user's, which runs in the task's process, and not a server's model."""
        return self.provider == PYTHON

    @property
    def has_price(self) -> bool:
        """Whether it is known what its tokens cost, those of prompts and those of answers."""
        return self.cost is not None and None not in (self.cost.input, self.cost.output)


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """Fallback: what happens when an agent's model cannot answer.

    Attributes:
        models: stand in for it, the first that can answer.
        retries: how often each model is tried again, where that may help, before the next is asked.
        cooldown: seconds for which a model that failed is passed over.
    """

    models: tuple[ModelConfig, ...] = ()
    retries: int = 2
    cooldown: float = 60.0


class ToolsetConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an agent's `toolsets`.

    Attributes:
        type: one of `toolset_kinds.TOOLSETS`.
        tools: names to keep of the toolset's tools; None keeps all.
        instruction: replaces the toolset's own instruction text; None keeps it.
        options: the keys that belong to this type alone, checked by the loader.
        optional: whether a task starts without it where it is missing.
    """

    type: str
    tools: tuple[str, ...] | None = None
    instruction: str | None = None
    options: dict[str, Any] = {}
    optional: bool = False


_UNITS_OF_LIMITS: Final = {
    "wall_clock": "a number of seconds, such as 90 or 0.5",
    "cpu": "a number of seconds, such as 90 or 0.5",
    "cost": "a number of dollars, such as 5 or 0.25",
    "memory": "a whole number of bytes, such as 2_000_000_000",
    "output": "a whole number of bytes, such as 1_000_000",
}
"""What limits count in, where that is not things."""

LARGEST_LIMIT: Final = 10**15
"""No limit is larger: a petabyte, thirty million years. What is sent to processes and to the kernel holds it."""

_MAY_BE_PARTS: Final = frozenset({"wall_clock", "cpu", "cost"})
"""The limits that need not be whole."""


def _is_limit(name: str, value: object) -> bool:
    """Whether a value is of the type that a limit has."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return name in _MAY_BE_PARTS or isinstance(value, int) or not math.isfinite(value) or value.is_integer()


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on what one task may use; None means no limit. Each ends its own task only, with a reason that names it.

    Attributes:
        wall_clock: seconds from the start of the task, restarts included.
        cpu: seconds of CPU time of the task's process tree.
        memory: bytes of memory of the tree.
        processes: processes in the tree.
        output: bytes that it may say.
        tokens: input and output tokens together, with those of all tasks that it starts.
        cost: US dollars, with those of all tasks that it starts. No task starts under it whose model has no price.
        iterations: turns of its loop.

    Raises:
        TypeError: a limit is no number; all but those in seconds and dollars are whole.
        ValueError: a limit is not above 0, or above 10^15.
    """

    wall_clock: float | None = None
    cpu: float | None = None
    memory: int | None = None
    processes: int | None = None
    output: int | None = None
    tokens: int | None = None
    cost: float | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no task could keep to."""
        for name, value in msgspec.structs.asdict(self).items():
            if value is not None and not _is_limit(name, value):
                unit = _UNITS_OF_LIMITS.get(name, "a whole number")
                raise TypeError(f"The limit {name} is {value!r}; it must be {unit}.")
            if value is not None and not 0 < value <= LARGEST_LIMIT:
                raise ValueError(f"The limit {name} is {value:.20g}; it must be above 0, and at most 10^15.")

    def over(self, default: Limits) -> Limits:
        """Return these limits, with another's where this one has none."""
        chosen = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(default, **chosen)

    def within(self, other: Limits) -> Limits:
        """Return the narrower of these limits and another's, each by itself."""
        ours, theirs = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        both = {name: [limit for limit in (ours[name], theirs[name]) if limit is not None] for name in ours}
        return Limits(**{name: min(limits) for name, limits in both.items() if limits})


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. It has a `model`, an `entrypoint`, or both.

    Attributes:
        name: its key under `agents`.
        model: what answers its turns; beside an `entrypoint`: what that finds in `task.model`.
        entrypoint: `package.module:function` that is the whole agent, in place of the loop, or a function that a
            program has given; empty: a function that comes with each task.
        fallback: what happens when the model cannot answer.
        description: one line for the agents that may call it.
        instruction: its system prompt; of an `entrypoint`: what `task.model` puts before a conversation.
        sub_agents: names of the agents it may start.
        toolsets: in the order of the file.
        max_iterations: turns before the loop gives up; 0 means no limit.
        max_old_tool_call_tokens: about how many tokens of earlier tool answers the model is shown; the oldest
            beyond are shortened; 0: all of them.
        num_history_items: messages of the model's own turns that it is shown, tool answers included; 0 means all.
        add_prompt_files: names of files to put in the system prompt; see `agent/prompt_files`.
        add_date: put today's date in the system prompt.
        add_environment_info: put working directory, platform and git state in the system prompt.
        workdir: where its tasks work: in the runtime's working directory (`shared`), in a new folder each (`private`),
            or in a git worktree each (`worktree`).
        privileges: `keep` lets its tasks use `sudo` and the like, and takes away the fence that keeps them from
            signalling and tracing host, zygote and other tasks.
        limits: of each of its tasks; the settings' own count where it has none.
        restart: when a task of it whose process has ended is started again.
        keys: whether code of its own (`entrypoint`, `python/` models, `python` toolsets) finds the key variables in
            `os.environ`.
        place: name of the place where its tasks run; empty: where the settings say.
        resources: what each of its tasks books, where the place is a Ray cluster; None: nothing.
    """

    name: str
    model: ModelConfig | None = None
    fallback: Fallback = Fallback()
    entrypoint: Function | None = None
    description: str = ""
    instruction: str = ""
    sub_agents: tuple[str, ...] = ()
    toolsets: tuple[ToolsetConfig, ...] = ()
    max_iterations: int = 0
    max_old_tool_call_tokens: int = 40_000
    num_history_items: int = 0
    add_prompt_files: tuple[str, ...] = ()
    add_date: bool = False
    add_environment_info: bool = False
    workdir: Workdir = "shared"
    privileges: Privileges = "drop"
    limits: Limits = Limits()
    restart: RestartPolicy = NEVER
    keys: bool = True
    place: str = ""
    resources: Resources | None = None

    def __post_init__(self) -> None:
        """Take a function itself for an entrypoint, too."""
        entrypoint: Any = self.entrypoint
        if callable(entrypoint):
            from .functions import given  # noqa: PLC0415 - for programs that give functions

            msgspec.structs.force_setattr(self, "entrypoint", given(entrypoint))

    @property
    def models(self) -> tuple[ModelConfig, ...]:
        """Its model and those that stand in for it; none for an entrypoint."""
        return tuple(model for model in (self.model, *self.fallback.models) if model is not None)

    @property
    def has_own_code(self) -> bool:
        """Whether its tasks run code of the user's in their own process."""
        functions = any(model.is_function for model in self.models)
        return self.entrypoint is not None or functions or any(toolset.type == "python" for toolset in self.toolsets)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The team file's `runtime` mapping; every value may also be given to `Runtime(...)`, which wins.

    Attributes:
        max_running: tasks that run at once.
        max_queued: tasks that wait until one of those has ended; 0: what cannot start at once is refused.
        max_tasks: ended tasks remembered; beyond it the oldest whose results have been read are forgotten. Of those
            whose results nobody has read, a program may have `max_queued` more before it is refused.
        max_output: bytes of live output kept per task; beyond it the head and the tail.
        max_result: bytes of a result as JSON text; a larger one fails its task.
        max_answer: characters of one tool answer that enter a model's context.
        max_wakes: how often an agent that has answered is woken, as tasks that it had started have ended since.
        poll_wait: seconds that a model's look at its tasks is held at most where there is nothing new; 0: it is not.
        max_depth: length of the longest chain of agents that start agents.
        stop_grace: seconds between asking a task to stop and killing it.
        model_idle_timeout: seconds without a byte from a model before the stream counts as stalled.
        rate_patience: seconds that one turn may wait for a model's rate limit; 0: a rate limit is an error at once.
        question_timeout: seconds that a question waits for its answer, if it does not say how long.
        stall_after: seconds of silence after which a task is shown as silent; it is never ended for it.
        standby: processes that wait, forked ahead, for the next tasks; each costs some megabytes of memory. With 0, the
            zygote does nothing ahead of the second task either.
        preload: modules that are imported once, for all tasks to share; they must not start threads or open anything.
        limits: of every task whose agent has none of its own.
        places: other machines on which tasks can run; a program may give them as the team file has them.
        place: name of the place where tasks run whose agents name none; empty: on the host's own machine.
    """

    max_running: int = 20
    max_queued: int = 1000
    max_tasks: int = 100
    max_output: int = 10_000_000
    max_result: int = 64_000_000
    max_answer: int = 30_000
    max_wakes: int = 10
    poll_wait: float = 15.0
    max_depth: int = 10
    stop_grace: float = 2.0
    model_idle_timeout: float = 120.0
    rate_patience: float = RATE_PATIENCE
    question_timeout: float = 300.0
    stall_after: float = 60.0
    standby: int = 2
    preload: tuple[str, ...] = ()
    limits: Limits = Limits()
    places: tuple[PlaceConfig, ...] = ()
    place: str = ""


MAY_BE_ZERO = frozenset({"max_queued", "max_wakes", "poll_wait", "rate_patience", "standby", "stop_grace"})
"""The settings that may be 0; the others must be above it."""


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """A checked team.

    Attributes:
        source: where it was read from, for messages.
        folders: where its modules are found before any other place: the folder of its file, and that of the file
            which a link stands for; none for a team that was read from no file.
        agents: in the order of the file.
        root: name of the agent that `subactors run` starts: `root`, or else the first.
        settings: see `Settings`.
        permissions: which tool calls its agents may make.
        ignored: the keys of the file that were accepted and mean nothing here (`check` shows them), and the items of
            `permissions` that match no tool there is.
        key_variables: variables that hold keys of what the file defines and no agent uses.
    """

    source: str
    folders: tuple[str, ...] = ()
    agents: dict[str, AgentConfig]
    root: str
    settings: Settings = Settings()
    permissions: Permissions = Permissions()
    ignored: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()

    @property
    def has_entrypoints(self) -> bool:
        """Whether one of its agents is a function of the user's."""
        return any(agent.entrypoint is not None for agent in self.agents.values())

    def is_asked(self, agent: str) -> bool:
        """Whether one of the agents that an agent may start may ask it something, and it has the tool to answer."""
        own = (each for each in self.agents[agent].toolsets if each.type == "background_agents")
        if not any(each.tools is None or "answer_background_agent" in each.tools for each in own):
            return False
        others = [self.agents[name] for name in self.agents[agent].sub_agents]
        return any(toolset.type == "ask_parent" for other in others for toolset in other.toolsets)


NO_TEAM: Final = Team(source="<no team>", agents={}, root="")
"""For programs that have no agents, and functions only."""
