"""MCP definition: one MCP server of a team file, and what this machine lacks to use it.

Nothing here starts or connects anything: the host asks what is missing before a task starts, and `check` asks it for
files that must not run. Only what `resolve` returns holds secrets; no message shows one.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ...actors.regular_files import open_to_read
from ..text import one_line
from .expansion import expand, expand_variable, referenced
from .secrets import blotted, is_secret, names_a_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["McpDefinition", "ResolvedServer"]

_PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_PLUGIN = "docker-mcp"
_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
"""In an address, such as one of a database."""

_EVERY_VALUE = frozenset({"headers", "secrets"})
"""Places where every variable that is referred to is taken for a secret, whatever its name is."""

_SHOWN_TITLE = 120


class ResolvedServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server with the values of one environment. Holds secrets: to be used, never to be shown or stored.

    Attributes:
        title: what messages call it; holds no secret.
        arguments: the program and its arguments; empty for a remote server.
        env: variables for the program, over those of the task.
        cwd: folder it starts in.
        url: the address of a remote server.
        transport: `streamable-http` or `sse`, for `url`.
        headers: of each request to `url`.
        secret_files: what the program reads from files: the option that takes a file's path, and the content.
        secrets: what must not appear in any text.
    """

    title: str
    arguments: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: Path = Path()
    url: str = ""
    transport: str = "streamable-http"
    headers: dict[str, str] = {}
    secret_files: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<ResolvedServer {self.title}>"

    def without_secrets(self, text: str) -> str:
        """Return `text` with every secret replaced by asterisks."""
        return blotted(text, self.secrets, "***")


class McpDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Definition of a server, as the team file has it. Exactly one of `command`, `url` and `docker` is set.

    Attributes:
        command: the program of a server on standard input and output.
        args: its arguments.
        env: variables for it, over those of the task; for `docker` they are also its secrets, by name.
        cwd: folder it starts in; empty: the agent's working directory.
        url: the address of a remote server.
        transport: `streamable-http` or `sse`, for `url`.
        headers: of each request to `url`.
        docker: the server's name in Docker's catalog.
        config: the server's configuration, for `docker`.
    """

    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = ""
    url: str = ""
    transport: str = "streamable-http"
    headers: dict[str, str] = {}
    docker: str = ""
    config: dict[str, Any] = {}

    @property
    def title(self) -> str:
        """Its name in messages: as the file has it, nothing of the environment; of an address host and path only."""
        if self.docker:
            return f"docker:{self.docker}"
        if self.command:
            # A key in the file itself is nobody's business either.
            arguments = [
                text if "${" in text else blotted(text, _literal_secrets("args", text, option), "***")
                for option, text in self._options()
            ]
            return one_line(" ".join([Path(self.command).name, *arguments]), _SHOWN_TITLE)
        if "${" in self.url:
            return one_line(self.url.partition("?")[0], _SHOWN_TITLE)
        parts = urlsplit(self.url)
        return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", _SHOWN_TITLE)

    def resolve(self, environ: Mapping[str, str], working_directory: Path) -> ResolvedServer:
        """Return the server with the references to the environment replaced.

        Raises:
            ValueError: a variable is not set; names it and where it is wanted.
        """
        values = _Values(self.title, environ)
        env = {name: values.get(self._place_of_env, text, named=name) for name, text in self.env.items()}
        command = "docker" if self.docker else values.get("command", self.command)
        arguments = [values.get("args", text, named=option) for option, text in self._options()]
        secret_files = []
        if self.docker:
            arguments = ["mcp", "gateway", "run", "--servers", self.docker]
            if env:
                lines = "".join(f"{name}={value}\n" for name, value in env.items())
                secret_files.append(("--secrets", lines))
            if self.config:
                content = msgspec.json.encode({self.docker: values.inside("config", self.config)}).decode()
                secret_files.append(("--config", content))  # JSON is YAML, too
        return ResolvedServer(
            title=self.title,
            arguments=(command, *arguments) if command else (),
            env=env,
            cwd=working_directory / os.path.expanduser(values.get("cwd", self.cwd)),  # noqa: PTH111 - never raises
            url=values.get("url", self.url),
            transport=self.transport,
            headers={name: values.get("headers", text, named=name) for name, text in self.headers.items()},
            secret_files=tuple(secret_files),
            secrets=values.secrets,
        )

    @property
    def secret_variables(self) -> frozenset[str]:
        """The variables of the environment in which, as far as their names and places tell, its secrets are."""
        places = [("command", "", self.command), ("cwd", "", self.cwd), ("url", "", self.url)]
        places += [(self._place_of_env, name, text) for name, text in self.env.items()]
        places += [("headers", name, text) for name, text in self.headers.items()]
        places += [("args", option, text) for option, text in self._options()]
        places += [("config", name, text) for name, text in _named_texts(self.config)]
        return frozenset(name for place, named, text in places for name in _secret_references(place, text, named))

    @property
    def _place_of_env(self) -> str:
        return "secrets" if self.docker else "env"

    def _options(self) -> list[tuple[str, str]]:
        """Return the arguments, each after the option that it is the value of, if it is one."""
        before = (argument if argument.startswith("-") else "" for argument in ("", *self.args))
        return list(zip(before, self.args, strict=False))

    def missing(self, environ: Mapping[str, str], working_directory: Path) -> str:
        """Return what this machine lacks to use the server, as a sentence with the remedy; empty if nothing is seen.

        Looks at files and variables only: that a server is there is no promise that it works.
        """
        try:
            resolved = self.resolve(environ, working_directory)
        except ValueError as error:
            return str(error)
        if not resolved.arguments:
            return ""
        if not os.path.isdir(resolved.cwd):  # noqa: PTH112 - never raises
            # As the file has it: the value of a variable may be somebody's business, and is not the file's author's.
            folder = f"`{one_line(self.cwd, _SHOWN_TITLE)}`" if "${" in self.cwd else resolved.cwd
            return f"The MCP server {self.title} is to start in {folder}, which is not a folder."
        program = _program({**environ, **resolved.env}, resolved)
        if self.docker:
            return self._missing_for_docker(program, environ)
        if program is None:
            return (
                f"The MCP server {self.title} needs the command {self.command!r}, which is not installed, or "
                "not on PATH."
            )
        return ""

    def _missing_for_docker(self, program: str | None, environ: Mapping[str, str]) -> str:
        if program is None:
            return (
                f"The MCP server {self.title} needs `docker`, which is not on PATH. Install Docker with its MCP plugin "
                "(docker-mcp; it comes with Docker Desktop)."
            )
        # Docker's own client is a compiled program that looks for its plugins in these folders. A script in its place
        # answers for itself.
        if _is_compiled(program) and not any((folder / _PLUGIN).is_file() for folder in _plugin_folders(environ)):
            return (
                f"The MCP server {self.title} needs Docker's MCP plugin: there is {program}, but no {_PLUGIN} in its "
                "folders for plugins. Install the plugin (it comes with Docker Desktop; elsewhere it goes to "
                f"~/.docker/cli-plugins/{_PLUGIN})."
            )
        return ""


class _Values:
    """Replaces references, and gathers which of the values are secret."""

    def __init__(self, title: str, environ: Mapping[str, str]) -> None:
        self._title = title
        self._environ = environ
        self._secrets: set[str] = set()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets met so far."""
        return tuple(sorted(self._secrets))

    def get(self, key: str, text: str, *, named: str = "") -> str:
        """Return `text` with its references replaced; `named` is the variable or header that it is for."""
        is_env = key in {"env", "secrets"}
        replace = expand_variable if is_env else expand  # as Docker's agent files have it
        try:
            value = replace(text, self._environ)
        except ValueError as error:
            place = "env" if is_env else key
            raise ValueError(f"{error} The MCP server {self._title} needs it: it stands in `{place}`.") from None
        found = [self._environ.get(name, "") for name in _secret_references(key, text, named)]
        found += _literal_secrets(key, value, named)
        self._secrets.update(filter(is_secret, found))
        return value

    def inside(self, key: str, value: Any, named: str = "") -> Any:
        """Return plain data with the references in its texts replaced."""
        if isinstance(value, str):
            return self.get(key, value, named=named)
        if isinstance(value, dict):
            return {name: self.inside(key, item, str(name)) for name, item in value.items()}
        return [self.inside(key, item, named) for item in value] if isinstance(value, list | tuple) else value


def _secret_references(key: str, text: str, named: str) -> list[str]:
    """Return the variables that a text refers to and that are likely to hold secrets.

    Args:
        key: where the text stands.
        text: as the file has it.
        named: the variable, header or option that it is the value of.
    """
    # `--token=${env.X}`, or a parameter of an address.
    option = text.partition("$")[0].rstrip(" =:")
    is_for_secret = key in _EVERY_VALUE or names_a_secret(named) or names_a_secret(option)
    return [name for name in referenced(text) if is_for_secret or names_a_secret(name)]


def _literal_secrets(key: str, value: str, named: str) -> list[str]:
    """Return the parts of a value that are likely to be secret, without references; arguments as above."""
    found = _PASSWORD.findall(value)
    if key == "secrets" or names_a_secret(named):
        found += [value, *value.split()]  # of "Bearer …" the second word alone is as secret
    if key == "args" and (option := re.fullmatch(r"(-[^=]*)=(.*)", value)) and names_a_secret(option[1]):
        found.append(option[2])
    if key == "url":
        found += [text for name, text in parse_qsl(value.partition("?")[2]) if names_a_secret(name)]
    return found


def _named_texts(data: Any, named: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts in plain data, each after the name that it stands under."""
    match data:
        case str():
            yield named, data
        case dict():
            for name, value in data.items():
                yield from _named_texts(value, str(name))
        case list() | tuple():
            for item in data:
                yield from _named_texts(item, named)
        case _:
            pass


def _program(environ: Mapping[str, str], server: ResolvedServer) -> str | None:
    command = server.arguments[0]
    # As the system does it: a name with a slash is a path, seen from the folder that the program starts in.
    return shutil.which(str(server.cwd / command) if "/" in command else command, path=environ.get("PATH", ""))


def _content(path: Path) -> bytes:
    with os.fdopen(open_to_read(path, follow=True), "rb") as file:
        return file.read()


def _is_compiled(program: str) -> bool:
    try:
        with os.fdopen(open_to_read(program, follow=True), "rb") as file:
            return file.read(2) != b"#!"
    except OSError:
        return False


def _plugin_folders(environ: Mapping[str, str]) -> list[Path]:
    config = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "/", ".docker"))
    folders = [config / "cli-plugins", *map(Path, _PLUGIN_FOLDERS)]
    try:
        extra = msgspec.json.decode(_content(config / "config.json")).get("cliPluginsExtraDirs") or []
        folders += [Path(folder) for folder in extra]
    except (OSError, ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        pass  # there is no such file, or none that says it
    return folders
