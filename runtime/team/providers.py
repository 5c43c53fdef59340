"""Providers: the addresses of their OpenAI-compatible endpoints, and the variables that hold their keys.

It turns a model into an address and a key when a client is made. A key is never part of a message, of a representation,
or of anything that is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from ..errors import MissingKeyError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .config import ModelConfig

__all__ = [
    "AUTO",
    "AUTO_MODELS",
    "PROVIDERS",
    "Endpoint",
    "Provider",
    "endpoint",
    "may_use_tls",
    "references_of",
    "resolved",
    "secrets_of_model",
    "url_fault",
]


class Provider(msgspec.Struct, frozen=True):
    """A provider with an OpenAI-compatible chat-completions endpoint.

    Attributes:
        base_url: root of the endpoint; empty where each customer has an address of their own.
        key_variables: environment variables that may hold the key, first set one wins; empty: no key is needed.
        address_variable: environment variable that replaces the address.
        address_suffix: what follows the value of `address_variable` to make a root of the endpoint.
    """

    base_url: str
    key_variables: tuple[str, ...] = ()
    address_variable: str = ""
    address_suffix: str = ""


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "openai": Provider("https://api.openai.com/v1", ("OPENAI_API_KEY",), address_variable="OPENAI_BASE_URL"),
        "anthropic": Provider("https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",)),
        "google": Provider(
            "https://generativelanguage.googleapis.com/v1beta/openai", ("GOOGLE_API_KEY", "GEMINI_API_KEY")
        ),
        "mistral": Provider("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
        "xai": Provider("https://api.x.ai/v1", ("XAI_API_KEY",)),
        "openrouter": Provider("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
        "groq": Provider("https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
        "together": Provider("https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
        "deepseek": Provider("https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",)),
        "fireworks": Provider("https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
        "cerebras": Provider("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
        "nvidia": Provider("https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",)),
        "azure": Provider("", ("AZURE_API_KEY",)),
        "requesty": Provider("https://router.requesty.ai/v1", ("REQUESTY_API_KEY",)),
        "nebius": Provider("https://api.studio.nebius.com/v1", ("NEBIUS_API_KEY",)),
        "minimax": Provider("https://api.minimax.io/v1", ("MINIMAX_API_KEY",)),
        "huggingface": Provider("https://router.huggingface.co/v1", ("HF_TOKEN",)),
        "moonshot": Provider("https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",)),
        "vercel": Provider("https://ai-gateway.vercel.sh/v1", ("AI_GATEWAY_API_KEY",)),
        "github-copilot": Provider("https://api.githubcopilot.com", ("GITHUB_TOKEN",)),
        "baseten": Provider("https://inference.baseten.co/v1", ("BASETEN_API_KEY",)),
        "atlascloud": Provider("https://api.atlascloud.ai/v1", ("ATLASCLOUD_API_KEY",)),
        "ovhcloud": Provider("https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", ("OVH_AI_ENDPOINTS_ACCESS_TOKEN",)),
        "opencode-zen": Provider("https://opencode.ai/zen/v1", ("OPENCODE_API_KEY",)),
        "opencode-go": Provider("https://opencode.ai/zen/go/v1", ("OPENCODE_API_KEY",)),
        "dmr": Provider(
            "http://127.0.0.1:12434/engines/v1", address_variable="MODEL_RUNNER_HOST", address_suffix="/engines/v1"
        ),
        "ollama": Provider("http://localhost:11434/v1", address_variable="OLLAMA_HOST", address_suffix="/v1"),
        "vllm": Provider("http://localhost:8000/v1"),
    }
)
"""By name, in lower case."""

_OLLAMA_HOST = re.compile(r"(?:(https?)://)?(\[[^\]]*\]|[^:/]*)(?::(\d*))?(/(?!/).*)?")

AUTO = "auto"
"""The provider, and the reference, of a model that is chosen by the keys at hand when a client is made."""

AUTO_MODELS: Mapping[str, str] = MappingProxyType(
    {
        "anthropic": "claude-sonnet-4-6",
        "openai": "gpt-5.6",
        "google": "gemini-3.5-flash",
        "mistral": "mistral-small-latest",
        "openrouter": "meta-llama/llama-3.3-70b-instruct",
        "atlascloud": "qwen/qwen3.8-max",
        "baseten": "deepseek-ai/DeepSeek-V3.1",
        "ovhcloud": "Qwen3.5-397B-A17B",
        "groq": "llama-3.3-70b-versatile",
        "fireworks": "accounts/fireworks/models/kimi-k2-instruct",
        "deepseek": "deepseek-v4-pro",
        "cerebras": "gpt-oss-120b",
        "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "huggingface": "meta-llama/Llama-3.3-70B-Instruct",
        "moonshot": "kimi-k2-0905-preview",
        "vercel": "openai/gpt-5.6-sol",
        "opencode-zen": "deepseek-v4-flash-free",
        "dmr": "ai/qwen3:latest",
    }
)
"""The models that `auto` may mean, in Docker's order: the first whose key is there; the last needs none.

`github-copilot` is left out, because GITHUB_TOKEN is nearly always there for another reason.
"""


@dataclass(frozen=True)
class Endpoint:
    """Endpoint: where requests for a model go.

    Attributes:
        base_url: root of the OpenAI-compatible endpoint.
        api_key: the key; None: send none. Not part of the representation.
    """

    base_url: str
    api_key: str | None = field(repr=False)


def endpoint(config: ModelConfig, environ: Mapping[str, str]) -> Endpoint:
    """Return where requests for a model go and with which key.

    An address in the team file wins over the environment, the environment over the table.

    Args:
        config: a model of a checked team, not one of provider `python`.
        environ: the environment of the task that is going to use the model.

    Raises:
        ModelError: a key is needed and no variable holds one, what a variable holds is not a key or no address, or a
            variable that the file refers to is not set.
    """
    config = resolved(config, environ)
    provider = PROVIDERS.get(config.provider, Provider(""))
    override = _override(config, provider, environ)
    base_url = config.base_url or override or provider.base_url
    if not base_url:
        raise ModelError(
            f"Model {config.reference!r}: there is no address for provider {config.provider!r}. "
            "Give the model a `base_url` in the team file."
        )
    # Whoever points a provider's address elsewhere may well mean a server that asks for no key; if it does, it says so.
    needed = override in ("", provider.base_url)
    return Endpoint(base_url, _key(config, environ, needed=needed))


def resolved(config: ModelConfig, environ: Mapping[str, str]) -> ModelConfig:
    """Return a model with its references to the environment replaced; for `auto`, the one whose key is there.

    Raises:
        ModelError: a variable that the file refers to is not set, or holds what cannot be used.
    """
    if config.provider == AUTO:
        provider = next(name for name in AUTO_MODELS if name == "dmr" or _holds_key(PROVIDERS[name], environ))
        name = AUTO_MODELS[provider]
        return msgspec.structs.replace(
            config,
            reference=f"{AUTO} ({provider}/{name})",
            provider=provider,
            name=name,
            key_variables=PROVIDERS[provider].key_variables,
        )
    from .expansion import expand_all  # noqa: PLC0415 - a host that only starts tasks has no use for it

    try:
        name, base_url, options = (expand_all(part, environ) for part in (config.name, config.base_url, config.options))
    except ValueError as error:
        raise ModelError(f"Model {config.reference!r}: {error} The team file refers to it.") from None
    if not name.strip():
        raise ModelError(f"Model {config.reference!r}: the name of the model comes from a variable, and is empty.")
    fault = url_fault(base_url) if base_url != config.base_url else None
    if fault is not None:
        raise ModelError(f"Model {config.reference!r}: the address that its `base_url` refers to {fault}. Correct it.")
    return msgspec.structs.replace(config, name=name.strip(), base_url=base_url.strip(), options=options)


def secrets_of_model(config: ModelConfig, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return what else of a model must be in no message than its key: a token in its address, say."""
    from .secrets import names_a_secret  # noqa: PLC0415 - a host that only starts tasks has no use for it

    names = filter(names_a_secret, references_of(config))
    return tuple(environ[name] for name in names if name in environ)


def references_of(config: ModelConfig) -> Iterator[str]:
    """Yield the names of the variables that a model's definition refers to."""
    from .expansion import references_in  # noqa: PLC0415 - a host that only starts tasks has no use for it

    return references_in([config.name, config.base_url, config.options])


def may_use_tls(config: ModelConfig, environ: Mapping[str, str]) -> bool:
    """Whether requests for a model may go to an address with TLS; so they may where its address cannot be used."""
    try:
        config = resolved(config, environ)
        provider = PROVIDERS.get(config.provider, Provider(""))
        base_url = config.base_url or _override(config, provider, environ) or provider.base_url
    except ModelError:
        return True
    return not base_url.startswith("http://")


def url_fault(url: str) -> str | None:
    """Return what is wrong with the address of an endpoint, as the rest of a sentence about it, or None.

    The address itself is never part of the answer, as it may hold a password.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host or any(character.isspace() for character in url):
        return "is not a URL that begins with http:// or https:// and names a host"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password"
    return None


def _holds_key(provider: Provider, environ: Mapping[str, str]) -> bool:
    return any(environ.get(variable, "").strip() for variable in provider.key_variables)


def _override(config: ModelConfig, provider: Provider, environ: Mapping[str, str]) -> str:
    """Return the address that the environment gives; empty if it gives none, or the team file has one."""
    variable = provider.address_variable
    value = environ.get(variable, "").strip() if variable and not config.base_url else ""
    if not value:
        return ""
    if variable == "OLLAMA_HOST":
        value = _ollama_root(value)
    fault = url_fault(value)
    if fault is not None:
        raise ModelError(
            f"Model {config.reference!r}: the address in {variable} {fault}. Correct or unset this variable."
        )
    return value.rstrip("/") + provider.address_suffix


def _ollama_root(value: str) -> str:
    """Return the root that OLLAMA_HOST means: it may lack scheme, host and port, and be where a server listens."""
    found = _OLLAMA_HOST.fullmatch(value)
    if found is None:
        return value
    scheme, host, port, path = found.groups("")
    if host in ("", "0.0.0.0", "[::]"):  # noqa: S104 - nothing listens here
        host = "localhost"
    if not port and not scheme:
        port = "11434"
    return f"{scheme or 'http'}://{host}{':' if port else ''}{port}{path}"


def _key(config: ModelConfig, environ: Mapping[str, str], *, needed: bool) -> str | None:
    for variable in config.key_variables:
        key = environ.get(variable, "").strip()
        if not key:
            continue
        # Such a key cannot be sent in a header, and the HTTP library would quote it in its complaint.
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ModelError(
                f"Model {config.reference!r}: the environment variable {variable} holds characters that no key has. "
                "Set it to the key alone."
            )
        return key
    if config.key_variables and needed:
        variables = " or ".join(config.key_variables)
        raise MissingKeyError(
            f"Model {config.reference!r} needs a key for provider {config.provider!r}. "
            f"Set the environment variable {variables}."
        )
    return None
