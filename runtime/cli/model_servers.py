"""Model servers: which ones answer on this machine, and which providers have a key in the environment.

A look takes about a second at most. It asks servers on loopback only what models they have, and sends no key.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from ..errors import ModelError
from ..team.config import ModelConfig
from ..team.providers import AUTO_MODELS, PROVIDERS, endpoint, resolved

__all__ = ["PROVIDED", "USUAL", "Server", "answering", "models_at", "places_of", "server_fault", "with_keys"]

logger = logging.getLogger("subactors.runtime")

USUAL: Final[Mapping[str, str]] = {
    "Ollama": "http://localhost:11434/v1",
    "LM Studio": "http://localhost:1234/v1",
    "vLLM": "http://localhost:8000/v1",
    "llama.cpp": "http://localhost:8080/v1",
    "Docker Model Runner": "http://localhost:12434/engines/v1",
    "Jan": "http://localhost:1337/v1",
    "SGLang": "http://localhost:30000/v1",
    "LiteLLM": "http://localhost:4000/v1",
    "text-generation-webui": "http://localhost:5000/v1",
}
"""Roots of the endpoints that these servers have where nobody has said otherwise."""

PROVIDED: Final[Mapping[str, str]] = {"Ollama": "ollama", "vLLM": "vllm", "Docker Model Runner": "dmr"}
"""Those of them that are providers, with the providers' names."""

_LOADED_BY: Final[Mapping[str, str]] = {"ollama": "ollama pull", "dmr": "docker model pull"}

_PATIENCE: Final = 1.0
"""Seconds that one server may take for its answer."""

_LARGEST: Final = 2_000_000
"""Bytes of an answer."""

_MOST_MODELS: Final = 12
"""Models of one server that Ollama is asked about."""

_LONGEST_NAME: Final = 200
_SHOWN: Final = 5

_NOT_FOR_TALK: Final = ("embed", "rerank", "whisper", "bge-", "minilm")
"""Parts of the names of models that answer no conversation."""


class Server(NamedTuple):
    """A server that answers.

    Attributes:
        title: what it is called, as its usual place says.
        base_url: root of its endpoint.
        models: the names of its models, those that can call tools first.
    """

    title: str
    base_url: str
    models: tuple[str, ...]


def answering(places: Mapping[str, str] = USUAL) -> list[Server]:
    """Return the servers that answer and have a model, in the order of the places. Asks all at the same time."""
    found: dict[str, tuple[str, ...]] = {}

    def ask(title: str, base_url: str) -> None:
        models = models_at(base_url)
        if models:
            found[title] = models

    # Daemons: one that hangs must not keep the command from ending.
    threads = [threading.Thread(target=ask, args=place, daemon=True) for place in places.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 2 * _PATIENCE
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    known = dict(found)
    return [Server(title, url, known[title]) for title, url in places.items() if title in known]


def places_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the usual places, with the addresses that the environment gives in place of the providers' own."""
    places = dict(USUAL)
    for title, provider in PROVIDED.items():
        with contextlib.suppress(ModelError):  # the address is none; whoever uses it is told
            places[title] = endpoint(ModelConfig(reference=provider, provider=provider, name="any"), environ).base_url
    return places


def server_fault(model: ModelConfig, environ: Mapping[str, str]) -> str:
    """Return what a model lacks that has an address and no key: its server, or that the server has it.

    Args:
        model: whose address is known in this environment.
        environ: where that is looked up.

    Returns:
        sentences; empty if nothing is known to be missing. A server that wants a key is not asked.
    """
    if model.is_function:
        return ""
    config = resolved(model, environ)
    place = endpoint(config, environ)
    if place.api_key is not None:
        return ""
    known = models_at(place.base_url)
    if not known:
        return f"Nothing at {place.base_url} says that it has a model. Start the server of {config.reference} first."
    if any(_is_named(config.name, name) for name in known):
        return ""
    loaded = _LOADED_BY.get(config.provider)
    advice = f"Load it with `{loaded} {config.name}`" if loaded else "Load it, or name one of those in team.yaml"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return (
        f"The server at {place.base_url} has no model {config.name!r} for conversations; it has "
        f"{', '.join(known[:_SHOWN])}{more}. {advice}."
    )


def _is_named(name: str, known: str) -> bool:
    """Whether a server's own name for a model is what a person calls it: without registry, and without `:latest`."""
    return f"/{known}".removesuffix(":latest").endswith(f"/{name}".removesuffix(":latest"))


def models_at(base_url: str) -> tuple[str, ...]:
    """Return the models of a server that can hold a conversation; empty if it does not answer, or has none."""
    answer = _asked(base_url, "GET", f"{urlsplit(base_url).path.rstrip('/')}/models")
    entries = answer.get("data") if isinstance(answer, dict) else None
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    models = [name for name in names if isinstance(name, str) and _is_for_talk(name)]
    if base_url == places_of(os.environ)["Ollama"]:
        able = [name for name in models[:_MOST_MODELS] if _calls_tools(base_url, name)]
        models = [*able, *(name for name in models if name not in able)]
    return tuple(models)


def with_keys(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return models whose key is in the environment, each as its reference and the variable that holds the key."""
    found = []
    for provider, model in AUTO_MODELS.items():
        held = [name for name in PROVIDERS[provider].key_variables if environ.get(name, "").strip()]
        found += [(f"{provider}/{model}", name) for name in held[:1]]
    return found


def _is_for_talk(name: str) -> bool:
    is_usable = 0 < len(name) <= _LONGEST_NAME and name.isprintable() and "${" not in name and name == name.strip()
    return is_usable and not any(part in name.lower() for part in _NOT_FOR_TALK)


def _calls_tools(base_url: str, name: str) -> bool:
    """Whether a model of an Ollama server can call tools; others are refused any request that has tools."""
    shown = _asked(base_url, "POST", "/api/show", {"model": name})
    capabilities = shown.get("capabilities") if isinstance(shown, dict) else None
    return isinstance(capabilities, list) and "tools" in capabilities


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has been closed meanwhile
        sock.shutdown(socket.SHUT_RDWR)


def _asked(base_url: str, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
    """Return what a server answers, as JSON; None if it does not, or with something else."""
    parts = urlsplit(base_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE)
    deadline: threading.Timer | None = None
    try:
        connection.connect()
        # For all of the answer: one that comes drop by drop would take for ever.
        deadline = threading.Timer(_PATIENCE, _cut, [connection.sock])
        deadline.start()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        connection.request(method, path, None if data is None else json.dumps(data), headers)
        response = connection.getresponse()
        logger.debug("%s answers with status %d.", base_url, response.status)
        body = response.read(_LARGEST)
        return json.loads(body) if response.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        logger.debug("%s does not answer: %s.", base_url, error)
        return None
    finally:
        if deadline is not None:
            deadline.cancel()
            deadline.join()
        connection.close()
