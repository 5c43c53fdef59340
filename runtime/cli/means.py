"""Means: what models and tools need of this machine: keys, servers and programs, as `doctor` finds them.

It runs programs only to ask for their versions, and asks servers only where the user says so. No key is shown.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ..errors import ModelError
from ..team.config import ModelConfig
from ..team.mcp_definition import McpDefinition
from ..team.providers import AUTO, PROVIDERS, endpoint, resolved
from ..text import one_line
from .model_servers import PROVIDED, USUAL, answering

__all__ = ["LEGEND", "Finding", "State", "model_findings", "program_findings"]

State: TypeAlias = Literal["ok", "--", "!!"]

LEGEND: Final = (
    "ok: it works, and is used.",
    "--: it cannot be used here, or was not asked; only what its line names needs it.",
    "!!: everything needs it, or you have set it up, and it does not work; its line says why.",
)
"""What the states mean."""

_SECONDS: Final = 5.0
"""For each program to say its version; `docker` waits for a machine that does not answer."""

_NO_SIGN: Final = frozenset({"github-copilot"})
"""Providers whose variable is nearly always there for another reason."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        state: how it is; see `LEGEND`.
        how: what was found, and what it is used for.
    """

    what: str
    state: State
    how: str


def model_findings(*, ping: bool) -> Iterator[Finding]:
    """Yield which providers have a key here, and, if they are to be asked, which servers of models answer."""
    environ = os.environ
    keys, faults = _keys(environ)
    if keys:
        named = ", ".join(f"{variable} ({provider})" for provider, variable in keys.items())
        chosen = resolved(ModelConfig(reference=AUTO, provider=AUTO, name=AUTO), environ)
        yield Finding("model keys", "ok", f"{named}; the model `auto` is {chosen.provider}/{chosen.name} here")
    elif not faults:
        yield Finding("model keys", "--", "none; models of a provider such as openai need its key, local ones do not")
    for fault in faults:
        yield Finding("model keys", "!!", fault)
    local = [name for name, known in PROVIDERS.items() if known.base_url and not known.key_variables]
    if not ping:
        yield Finding(
            "model servers",
            "--",
            f"not asked; `doctor --ping` asks those of this machine ({', '.join(local)}) and those with a key",
        )
        return
    from ..models.ping import ask_servers  # noqa: PLC0415 - slow to import

    for answer in ask_servers([*keys, *local], environ):
        # Nobody has said that there is to be a server on this machine.
        is_missing = answer.name in local and not answer.is_reached and not _is_set(answer.name, environ)
        state: State = "ok" if answer.is_good else "--" if is_missing else "!!"
        yield Finding(f"model server {answer.name}", state, one_line(answer.text, 300))
    for server in answering({title: url for title, url in USUAL.items() if title not in PROVIDED}):
        how = f"{server.base_url} answers, and has {server.models[0]}; `subactors init` can write a team for it"
        yield Finding(f"model server {server.title}", "ok", one_line(how, 300))


def program_findings() -> Iterator[Finding]:
    """Yield which programs are there that MCP servers come by."""
    yield _docker()
    yield _program("node", "MCP servers from npm (`command: npx`)")
    yield _program("uvx", "MCP servers from PyPI (`command: uvx`)")


def _keys(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the providers whose key is here, with its variable, and what is wrong with others."""
    keys: dict[str, str] = {}
    faults = []
    for name, provider in PROVIDERS.items():
        held = [variable for variable in provider.key_variables if environ.get(variable, "").strip()]
        if not held or name in _NO_SIGN:
            continue
        config = ModelConfig(reference=name, provider=name, name=name, key_variables=(held[0],), base_url="http://x")
        try:
            endpoint(config, environ)
        except ModelError as error:
            faults.append(str(error))
        else:
            keys[name] = held[0]
    return keys, faults


def _is_set(provider: str, environ: Mapping[str, str]) -> bool:
    """Whether somebody has said where a provider's server is."""
    return bool(environ.get(PROVIDERS[provider].address_variable, "").strip())


def _docker() -> Finding:
    use = "MCP servers of Docker's catalog (`ref: docker:NAME`)"
    version, fault = _said("docker", "version", "--format", "{{.Server.Version}}")
    if fault:
        return Finding("docker", "--", f"{fault}; needed for {use}")
    lack = McpDefinition(docker="any").missing(os.environ, Path.cwd())
    if lack:
        return Finding("docker", "--", f"{version}, but without its MCP plugin (docker-mcp); needed for {use}")
    return Finding("docker", "ok", f"{version}: for {use}")


def _program(name: str, use: str) -> Finding:
    version, fault = _said(name, "--version")
    return Finding(name, "--", f"{fault}; needed for {use}") if fault else Finding(name, "ok", f"{version}: for {use}")


def _said(name: str, *arguments: str) -> tuple[str, str]:
    """Run a program of this machine; return the line that it printed, or else what is wrong with it."""
    path = shutil.which(name)
    if path is None:
        return "", "not on PATH"
    try:
        done = subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return "", f"`{name} {arguments[0]}` has not answered within {_SECONDS:g} s"
    except OSError as error:
        return "", f"{path} cannot be run: {error.strerror or error}"
    said = one_line(done.stdout, 60)
    if done.returncode or not said:
        why = one_line(done.stderr, 200) or f"exit status {done.returncode}"
        return "", f"`{name} {arguments[0]}` failed: {why}"
    return said, ""
