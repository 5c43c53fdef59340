"""The reference: pages of `docs/` that are made from tables that the loader uses, and from the public names.

    python tools/reference.py            # writes them
    python tools/reference.py --check    # exit status 1 if a page is not up to date

What a key means is in `reference_words.py` beside this file; a key without words stops the program.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from python_api import python_api
from reference_words import WORDS
from subactors.actors import RestartPolicy
from subactors.runtime.team.config import Limits, Settings
from subactors.runtime.team.providers import PROVIDERS
from subactors.runtime.team.toolset_kinds import TOOLSETS
from subactors.runtime.teamfile import keys, places
from subactors.runtime.teamfile.values import Keys

__all__ = ["pages"]

DOCS: Final = Path(__file__).parents[1] / "docs"

NOTE: Final = "<!-- Made by tools/reference.py. -->\n"

LEVELS: Final[Mapping[str, tuple[str, Keys]]] = {
    "top": ("The top of the file", keys.TOP),
    "agent": ("An agent: `agents.NAME`", keys.AGENT),
    "model": ("A model: `models.NAME`", keys.MODEL),
    "provider": ("A provider: `providers.NAME`", keys.PROVIDER),
    "runtime": ("`runtime`", keys.RUNTIME),
    "limits": ("`limits`, of an agent or under `runtime`", keys.LIMITS),
    "restart": ("`restart`, of an agent", keys.RESTART),
    "place-ssh": ("A place that is reached by ssh: `runtime.places.NAME`", places.SSH),
    "place-ray": ("A place that is a Ray cluster: `runtime.places.NAME`", places.RAY),
    "resources": ("`resources`, of an agent", places.RESOURCES),
    "fallback": ("`fallback`, of an agent", keys.FALLBACK),
    "structured_output": ("`structured_output`, of an agent", keys.STRUCTURED_OUTPUT),
    "cost": ("`cost`, of a model", keys.COST),
    "permissions": ("`permissions`", keys.PERMISSIONS),
    "toolset": ("Every entry of `toolsets`", keys.TOOLSET),
}

DEFAULTS: Final[Mapping[str, type[msgspec.Struct]]] = {"runtime": Settings, "limits": Limits, "restart": RestartPolicy}
"""Levels whose defaults a class knows."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a table, and an empty one."""
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def default(level: str, key: str) -> str:
    """Return the default of a key as text; empty if there is none."""
    kind = DEFAULTS.get("restart" if key == "policy" else level)
    if kind is None:
        return ""
    values = {field.name: field.default for field in msgspec.structs.fields(kind)}
    value = values["restart" if key == "policy" else key]
    if value is None or value in {(), ""} or isinstance(value, msgspec.Struct):
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else f"`{value}`"


def words(level: str, key: str) -> str:
    """Return what a key means, in words."""
    found = WORDS.get(f"{level}.{key}")
    if found is None:
        raise SystemExit(f"There are no words for the key {key!r} of {level!r}. Add them to tools/reference_words.py.")
    return found


def supported(level: str, known: Iterable[str]) -> Iterator[str]:
    """Yield the table of the keys of a level, in the order of their words."""
    order = {name: place for place, name in enumerate(WORDS)}
    named = sorted(known, key=lambda key: order.get(f"{level}.{key}", len(order)))
    if any(default(level, key) for key in named):
        yield from table(
            ("key", "default", "meaning"), ((f"`{key}`", default(level, key), words(level, key)) for key in named)
        )
    else:
        yield from table(("key", "meaning"), ((f"`{key}`", words(level, key)) for key in named))


def toolsets() -> Iterator[str]:
    """Yield a section for each type of toolset."""
    for name, kind in TOOLSETS.items():
        yield from (f"### `type: {name}`", "")
        tools = ", ".join(f"`{tool}`" for tool in kind.tools or ())
        yield from (f"Tools: {tools or words('toolset-tools', name)}.", "")
        if kind.options:
            yield from supported(f"toolset-{name}", kind.options)
        if name == "script":
            yield from ("An entry of its `shell` has:", "")
            yield from supported("script", keys.SCRIPT.supported)
        if name == "mcp":
            yield from ("Its `remote` has:", "")
            yield from supported("remote", keys.REMOTE.supported)


def providers() -> Iterator[str]:
    """Yield the table of the known providers."""
    rows = (
        (
            f"`{name}`",
            f"`{provider.base_url}`" if provider.base_url else "your own `base_url`",
            " or ".join(f"`{variable}`" for variable in provider.key_variables) or "no key",
            f"`{provider.address_variable}`" if provider.address_variable else "",
        )
        for name, provider in PROVIDERS.items()
    )
    yield from table(("provider", "address", "key", "other address"), rows)


def reference() -> Iterator[str]:
    """Yield the lines of the reference of team files."""
    yield from (
        "# Team file reference",
        "",
        NOTE,
        "Every key that a team file may have, level by level. [The team file](team-file.md) tells how they work together,",
        "[differences from docker-agent](docker-agent.md) which of Docker's keys are refused or have no effect.",
        "",
        "`subactors check FILE` holds a file to this page, and names each key that is not on it.",
        "",
        f"`version` is a number from {keys.VERSIONS[0]} to {keys.VERSIONS[-1]}: what is read here means the same in all.",
        "",
    )
    for level, (title, known) in LEVELS.items():
        yield from (f"## {title}", "")
        yield from supported(level, known.supported)
    yield from ("## Types of toolsets", "")
    yield from toolsets()
    yield from ("## Providers", "", "`provider/model` names one of these, or one of your own under `providers`:", "")
    yield from providers()


def but_for(level: str, key: str) -> str:
    """Return which types of toolsets have a key all the same, as words to follow; empty if none has."""
    types = [f"`{name}`" for name, kind in TOOLSETS.items() if level == "toolset" and key in kind.options]
    return f", but for {' and '.join(types)}" if types else ""


def differences() -> Iterator[str]:
    """Yield the lines of the page about Docker's keys."""
    yield from (
        "# Differences from docker-agent",
        "",
        NOTE,
        "Team files have the keys of [docker-agent](https://github.com/docker/docker-agent). A file that uses what is",
        "supported here runs unchanged. This page goes through the rest, key by key.",
        "",
        "* **Refused**: the key would change what an agent does. `check` and `run` name it, and what the file would lose.",
        "  A key that is off anyway (`false`, empty) is let through.",
        "* **No effect**: the key matters to an interactive session, or to another program. `check` lists such keys.",
        "* **Ours**: docker-agent does not know the key.",
        "",
        "## Ours",
        "",
    )
    yield from table(("key", "of"), ((f"`{key}`", where) for key, where in OURS.items()))
    for level, (title, known) in LEVELS.items():
        rows = [(f"`{key}`", f"refused{but_for(level, key)}", loss) for key, loss in known.refused.items()]
        rows += [(f"`{key}`", f"no effect{but_for(level, key)}", "") for key in sorted(known.ignored)]
        if rows:
            yield from (f"## {title}", "")
            yield from table(("key", "here", "the file would lose"), rows)
    yield from ("## Keys of single toolsets", "")
    rows = [
        (f"`{key}`", f"`{name}`", "refused", loss)
        for name, kind in TOOLSETS.items()
        for key, loss in kind.refused.items()
    ]
    rows += [(f"`{key}`", "`mcp`", "no effect", "") for key in sorted(keys.MCP.ignored)]
    rows += [("`remote.oauth`", "`mcp`", "refused", keys.REMOTE.refused["oauth"])]
    yield from table(("key", "of", "here", "the file would lose"), rows)
    yield from ("## Types of toolsets that are refused", "")
    yield from table(
        ("`type`", "the file would lose"), ((f"`{name}`", loss) for name, loss in keys.UNSUPPORTED_TOOLSETS.items())
    )
    yield from ("## Options of models that are refused", "", "Under `provider_opts`:", "")
    yield from table(
        ("option", "the file would lose"), ((f"`{name}`", loss) for name, loss in keys.PROVIDER_OPTS.items())
    )
    yield from BEHAVIOUR.splitlines()


OURS: Final = {
    "entrypoint": "an agent: [a function of your own](entrypoints.md) in place of a model's loop",
    "limits": "an agent, or `runtime`: [limits](limits.md)",
    "restart": "an agent: [restarts](limits.md#restarts)",
    "workdir": "an agent: [a folder or worktree of its own](working-directories.md)",
    "privileges": "an agent: [whether its tasks may gain privileges](working-directories.md#privileges)",
    "place": "an agent, or `runtime`: [other machines](cluster.md) on which its tasks run",
    "resources": "an agent: [what its tasks book](cluster.md#resources) of a Ray cluster",
    "keys": "an agent: [whether its own code sees keys](models.md#keys)",
    "runtime": "the file: [settings](team-file.md#runtime), beside what docker-agent has there",
    "optional": "a toolset: the task starts without it",
    "type: python": "`toolsets`: [functions as tools](toolsets.md#python-functions)",
    "type: ask_parent": "`toolsets`: [questions to whoever started the task](toolsets.md#questions-of-agents)",
}

BEHAVIOUR: Final = """\
## The same key, another behaviour

| what | docker-agent | here |
|---|---|---|
| background agents | run in its own process | [processes](../ARCHITECTURE.md#the-process-model) that can be stopped, limited and restarted |
| tools of `background_agents` | four | these four, `wait_background_agents`, and more where the entry asks for them |
| ends of background agents | are polled | [are told](orchestrators.md#an-orchestrator-is-told-of-each-end), too; polling goes on working |
| `permissions: ask` in a background agent | lets the call through, or denies it, by its version | [asks a person](permissions.md#approvals), and denies where there is none |
| providers | a client for each | their OpenAI-compatible endpoints, through one client |
| several models in turn (`a,b`) | one by chance each turn | refused |
| agents of other files | by a reference to a registry | refused: define them under `agents` |
| HCL files | read | YAML only |
"""


def pages() -> dict[Path, str]:
    """Return the pages as they should be."""
    made = {"team-file-reference.md": reference(), "docker-agent.md": differences(), "python-api.md": python_api(NOTE)}
    return {DOCS / name: "\n".join(lines).rstrip() + "\n" for name, lines in made.items()}


def main() -> int:
    """Write the pages, or check them."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path} is not up to date. Run: python tools/reference.py\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages()[path])
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
