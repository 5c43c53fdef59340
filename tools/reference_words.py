"""Words for the reference: what each key of a team file means, in the order of the page."""

from __future__ import annotations

from typing import Final

__all__ = ["WORDS"]

_TOP: Final = {
    "agents": "the agents, by name; the first, or the one called `root`, is what `run` starts",
    "models": "models, by name",
    "providers": "providers of your own, by name",
    "mcps": "definitions of [MCP servers](mcp.md), by name, that toolsets refer to with `ref`",
    "permissions": "[which tool calls are let through](permissions.md)",
    "runtime": "[settings for all tasks](team-file.md#runtime)",
    "metadata": "notes for people, such as `author` or `license`",
    "version": "the version of Docker's agent files",
}

_AGENT: Final = {
    "model": "`provider/model`, a name from `models`, `auto`, or `python/package.module:function`",
    "entrypoint": "`package.module:function` that is the whole agent; see [Functions of your own](entrypoints.md)",
    "description": "one line for the agents that may call it",
    "instruction": "its system prompt: text, or a list of lines",
    "sub_agents": "names of the agents that it may start",
    "toolsets": "[what it may do](toolsets.md)",
    "max_iterations": "turns after which its loop is ended; 0: no limit",
    "fallback": "[models that stand in](models.md#parameters) for its own",
    "structured_output": "[the JSON schema](models.md#parameters) of its answers",
    "add_date": "`true`: its prompt has the date",
    "add_environment_info": "`true`: its prompt has working directory, platform and git state",
    "add_prompt_files": "names of files that its prompt has; see [The prompt of an agent](team-file.md#the-prompt-of-an-agent)",
    "num_history_items": "messages of its own turns that its model is shown; 0: all",
    "max_old_tool_call_tokens": "about how many tokens of earlier tool answers its model is shown (40,000); -1: all",
    "limits": "[limits](limits.md) of each of its tasks",
    "restart": "[when a task that has ended is started again](limits.md#restarts): a policy, or a mapping",
    "workdir": "`shared`, `private` or `worktree`: [where its tasks work](working-directories.md)",
    "privileges": "`drop` or `keep`: [whether its tasks may gain privileges](working-directories.md#privileges)",
    "keys": "`false`: its own code finds no [key variables](models.md#keys)",
    "place": "the name of [a place](cluster.md), one of `runtime.places`, where its tasks run; without it where `runtime.place` says",
    "resources": "[what each of its tasks books](cluster.md#resources) of a Ray cluster",
}

_MODEL: Final = {
    "provider": "a [provider](#providers), or one from `providers`",
    "model": "the model's name at the provider; `${env.NAME}` is replaced",
    "base_url": "address of the endpoint, in place of the provider's",
    "token_key": "the environment variable that holds the key",
    "temperature": "a parameter of each request",
    "max_tokens": "a parameter of each request: the longest answer",
    "top_p": "a parameter of each request",
    "frequency_penalty": "a parameter of each request",
    "presence_penalty": "a parameter of each request",
    "parallel_tool_calls": "a parameter of each request: whether one turn may call several tools",
    "thinking_budget": "how much it thinks first: tokens, or a [level](models.md#parameters)",
    "provider_opts": "further parameters of each request; `null` takes one out",
    "cost": "what its tokens cost",
}

_RUNTIME: Final = {
    "max_running": "tasks that run at the same time",
    "max_queued": "tasks that wait for a slot; 0: what cannot start at once is refused",
    "max_tasks": "ended tasks that the host remembers",
    "max_output": "bytes of output kept of a task, or a size such as `10MB`",
    "max_result": "bytes that a result may have as JSON, or a size",
    "max_answer": "characters of one tool answer that enter a model's context",
    "max_wakes": "how often an agent that has answered is woken",
    "poll_wait": "seconds that a model's look at its tasks is held where there is nothing new",
    "max_depth": "length of the longest chain of agents that start agents",
    "stop_grace": "seconds from a stop until the process is killed",
    "model_idle_timeout": "seconds that a model's stream may send nothing",
    "rate_patience": "seconds that one turn waits for a rate limit; 0: not at all",
    "question_timeout": "seconds that a question waits, if it does not say itself",
    "stall_after": "seconds of silence after which a task is shown as silent",
    "standby": "processes that wait, forked ahead, for the next tasks",
    "preload": "modules imported once, for all tasks",
    "limits": "of every task whose agent has none of its own",
    "place": "the place where tasks run whose agents name none; without it this machine",
    "places": "[other machines](cluster.md) on which tasks can run, by name",
}

_PLACES: Final = {
    "place-ssh.type": "`ssh`",
    "place-ssh.hosts": "its machines, as ssh takes them: `box1`, `alice@box2`, `ssh://box3:2222`",
    "place-ssh.python": "the interpreter there that has this package, of the same version (`python3`)",
    "place-ssh.options": "more arguments of ssh, such as `[-i, key]`",
    "place-ssh.workdir": "the folder there for tasks with `workdir: shared`; without it the one that has the host's path",
    "place-ssh.folder": "where a node keeps its files; without it the state folder of its user",
    "place-ssh.placement": "`spread`: tasks go to the node that runs the fewest; `pack`: to the fullest that has room (`spread`)",
    "place-ssh.max_tasks": "tasks that a node runs at a time; further ones wait for a node. Without it any number",
    "place-ssh.py_modules": (
        "more to send to its nodes: packages, folders with modules, `.py` files; paths begin where the team file is"
    ),
    "place-ray.type": "`ray`",
    "place-ray.address": "of the cluster, `HOST:6379`; `auto`, the default, is that of this machine; `ray://` is refused",
    "place-ray.workdir": "as with ssh",
    "place-ray.folder": "as with ssh",
    "place-ray.placement": "as with ssh",
    "place-ray.max_tasks": "as with ssh",
    "place-ray.py_modules": "as with ssh",
    "resources.cpu": "processors",
    "resources.gpu": "graphics processors",
    "resources.memory": "bytes, or a size such as `2GB`",
    "resources.custom": "resources of the cluster's own, by name",
}

_LIMITS: Final = {
    "wall_clock": "seconds from the start of the task, restarts included",
    "cpu": "seconds of processor time of its process tree",
    "memory": "bytes of the tree, or a size such as `512MB`",
    "processes": "processes of the tree",
    "output": "bytes that it may say, or a size",
    "tokens": "input and output tokens, with those of all that it starts",
    "cost": "US dollars, with those of all that it starts",
    "iterations": "turns of its loop",
}

_RESTART: Final = {
    "policy": "`temporary` (never), `transient` (after a failure) or `permanent` (after every end but a stop)",
    "max_restarts": "restarts within `period`",
    "period": "seconds in which restarts are counted",
    "backoff": "seconds before the first restart; doubles with each",
    "max_backoff": "seconds of the longest pause",
}

_SMALL: Final = {
    "provider.base_url": "address of its OpenAI-compatible endpoint",
    "provider.token_key": "the environment variable that holds its key; without it, none is sent",
    "provider.api_type": "`openai_chatcompletions`, the only one",
    "fallback.models": "models that answer when the agent's own cannot, in their order",
    "fallback.retries": "how often each is tried again (2); -1: not at all",
    "fallback.cooldown": "for how long one that failed is passed over (1m)",
    "structured_output.name": "a name for the schema",
    "structured_output.description": "what the answer is, for the model",
    "structured_output.schema": "the JSON schema",
    "structured_output.strict": "whether the provider is asked to hold the model to it",
    "cost.input": "US dollars for a million tokens of the prompt",
    "cost.output": "US dollars for a million tokens of the answer",
    "cost.cache_read": "the same, for tokens that the server had in its cache; `input` if not given",
    "cost.cache_write": "the same, for tokens that it put there; `input` if not given",
    "permissions.deny": "patterns of calls that must not be made; wins",
    "permissions.allow": "patterns of calls that need not be asked about",
    "permissions.ask": "patterns of calls that a person is asked about",
    "toolset.type": "one of the [types](#types-of-toolsets)",
    "toolset.tools": "names of the tools wanted; all if not given",
    "toolset.instruction": "replaces the toolset's own; `{ORIGINAL_INSTRUCTIONS}` stands for that",
    "toolset.optional": "`true`: a task starts without it where something is missing",
    "script.cmd": "the command line",
    "script.description": "what the tool does, for the model",
    "script.args": "its parameters, each with a JSON schema",
    "script.required": "the parameters that must be given; all if not given",
    "script.env": "variables of the command",
    "script.working_dir": "where it runs",
    "remote.url": "the server's address",
    "remote.transport_type": "`streamable-http` or `sse`",
    "remote.headers": "headers of each request; `${env.NAME}` is replaced",
}

_TOOLSETS: Final = {
    "toolset-background_agents.notify": "`false`: [ends are not told](orchestrators.md#an-orchestrator-is-told-of-each-end)",
    "toolset-background_agents.on_finish": "`wait` or `stop`: what becomes of tasks that run when the agent answers",
    "toolset-background_agents.steer": "`true`: also `steer_background_agent`",
    "toolset-background_agents.fan_out": "`true`: also `map_background_agent`",
    "toolset-background_agents.limits": "`true`: tasks are started with [limits](limits.md#budgets)",
    "toolset-background_agents.schema": "`true`: tasks are started with [an output schema](functions.md#output-schemas)",
    "toolset-ask_parent.timeout": "how long a question waits",
    "toolset-user_prompt.timeout": "how long a question waits",
    "toolset-shell.env": "variables of its commands",
    "toolset-shell.timeout": "how long a command may take (30 s)",
    "toolset-script.shell": "the tools, by name",
    "toolset-script.env": "variables of all commands",
    "toolset-script.timeout": "how long a command may take (300 s)",
    "toolset-filesystem.allow": "folders beside the working directory that it may use",
    "toolset-filesystem.allow_list": "the same as `allow`",
    "toolset-filesystem.readonly": "`true`: only the tools that change nothing",
    "toolset-filesystem.allow_git": "`true`: it may write below a `.git`",
    "toolset-memory.path": "the SQLite file (`memory.db`)",
    "toolset-fetch.timeout": "how long a page may take (30 s)",
    "toolset-fetch.allowed_domains": "the only hosts that it reaches: `example.com`, `*.example.com`",
    "toolset-fetch.blocked_domains": "hosts that it does not reach",
    "toolset-fetch.allow_private_ips": "`true`: it reaches private networks and this machine",
    "toolset-python.functions": "the tools: `package.module:function`, each",
    "toolset-python.timeout": "how long a call may take (300 s)",
    "toolset-mcp.command": "the server's program, for a server on a pipe",
    "toolset-mcp.args": "its arguments",
    "toolset-mcp.env": "its variables",
    "toolset-mcp.cwd": "where it runs",
    "toolset-mcp.working_dir": "the same as `cwd`",
    "toolset-mcp.remote": "a server at an address",
    "toolset-mcp.ref": "`docker:NAME` of Docker's catalog, or a name from `mcps`",
    "toolset-mcp.config": "configuration of a server of Docker's catalog",
    "toolset-mcp.name": "is put before the names of its tools",
    "toolset-mcp.timeout": "how long a call may take (120 s)",
    "toolset-mcp.startup_timeout": "how long it may take to be ready (60 s)",
    "toolset-mcp.lifecycle": "Docker's mapping; see [Connections](mcp.md#connections)",
    "toolset-tools.script": "one for each entry of `shell`",
    "toolset-tools.python": "one for each function",
    "toolset-tools.mcp": "those of the server",
}


def _at(level: str, words: dict[str, str]) -> dict[str, str]:
    return {f"{level}.{key}": text for key, text in words.items()}


WORDS: Final = {
    **_at("top", _TOP),
    **_at("agent", _AGENT),
    **_at("model", _MODEL),
    **_at("runtime", _RUNTIME),
    **_at("limits", _LIMITS),
    **_at("restart", _RESTART),
    **_PLACES,
    **_SMALL,
    **_TOOLSETS,
}
"""By level and key."""
