"""Ping: whether models and their servers answer, asked once, for `check --ping` and `doctor --ping`.

A model is asked for one word, the way that a task asks it. A server is asked for the list of its models, which costs
nothing. What is said of either holds no key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

import httpx2
import msgspec
import openai

from ..errors import RateLimitError, SubactorsError
from ..net.proxies import ProxyError, proxy_for
from ..team.config import ModelConfig
from ..team.providers import PROVIDERS, endpoint
from .open import open_model
from .openai.client import CONNECT_TIMEOUT, http_client

__all__ = ["Answer", "ask_models", "ask_servers"]

_QUESTION: Final = "Answer with the word ok, and nothing else."

_PATIENCE: Final = 30.0
"""Seconds in which a model must have said one word."""

_AT_ONCE: Final = 10
"""Models that are asked at the same time; a file may name hundreds."""

_OK: Final = 200
_REFUSED: Final = frozenset({401, 403})


class Answer(msgspec.Struct, frozen=True):
    """What became of a ping.

    Attributes:
        name: of the model, as the team file has it, or of the server's provider.
        is_good: whether it can be used.
        text: what there is to say, without the name.
        is_reached: whether anything has answered at its address.
    """

    name: str
    is_good: bool
    text: str
    is_reached: bool = True


def ask_models(
    models: Iterable[ModelConfig], environ: Mapping[str, str], told: Callable[[Answer], None] = lambda _: None
) -> list[Answer]:
    """Ask models, none of them a function, each for one word. Blocks.

    Args:
        models: of a checked team.
        environ: where keys and addresses are looked up.
        told: called with each answer as it comes, in the thread of the caller.
    """
    return asyncio.run(_all([_ask_model(model, environ) for model in models], told))


def ask_servers(providers: Iterable[str], environ: Mapping[str, str]) -> list[Answer]:
    """Ask the servers of known providers which models they have. Blocks."""
    return asyncio.run(_all([_ask_server(name, environ) for name in providers], lambda _: None))


async def _all(questions: list[Coroutine[Any, Any, Answer]], told: Callable[[Answer], None]) -> list[Answer]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def ask(question: Coroutine[Any, Any, Answer]) -> Answer:
        async with room:
            answer = await question
        told(answer)
        return answer

    return await asyncio.gather(*map(ask, questions))


async def _ask_model(config: ModelConfig, environ: Mapping[str, str]) -> Answer:
    # The form of answers that an agent wants has no place for a word.
    options = {name: value for name, value in config.options.items() if name != "response_format"}
    plain = msgspec.structs.replace(config, options=options)
    began = time.monotonic()
    try:
        model = open_model(plain, environ=environ, idle_timeout=_PATIENCE, retries=0, rate_patience=0)
    except SubactorsError as error:
        return Answer(config.reference, is_good=False, text=str(error))
    try:
        async with asyncio.timeout(_PATIENCE):
            turn = await model.complete([{"role": "user", "content": _QUESTION}], [], lambda _: None)
    except TimeoutError:
        return Answer(config.reference, is_good=False, text=f"has not answered within {_PATIENCE:g} s.")
    except RateLimitError as error:
        # Its own advice is for tasks that have waited.
        again = "" if error.after is None else f" Its server may be asked again in {error.after:.0f} s."
        waits = "A task waits for that, up to the `rate_patience` of its team."
        return Answer(config.reference, is_good=False, text=f"its rate limit is reached just now.{again} {waits}")
    except SubactorsError as error:
        return Answer(config.reference, is_good=False, text=str(error))
    finally:
        await model.close()
    used = f"{turn.usage.input_tokens:,} tokens in, {turn.usage.output_tokens:,} out"
    return Answer(config.reference, is_good=True, text=f"answered in {time.monotonic() - began:.1f} s ({used}).")


async def _ask_server(provider: str, environ: Mapping[str, str]) -> Answer:
    config = ModelConfig(
        reference=provider, provider=provider, name="ping", key_variables=PROVIDERS[provider].key_variables
    )
    try:
        place = endpoint(config, environ)
        proxy = proxy_for(place.base_url, environ)
    except (SubactorsError, ProxyError) as error:
        return Answer(provider, is_good=False, text=str(error))
    key = place.api_key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if provider == "anthropic" and key:
        # Its list of models knows the key under this name only.
        headers |= {"x-api-key": key, "anthropic-version": "2023-06-01"}
    timeout = openai.Timeout(_PATIENCE, connect=CONNECT_TIMEOUT)
    async with http_client(timeout, secure=not place.base_url.startswith("http://"), proxy=proxy) as client:
        try:
            # What it answers is not read: it may be endless.
            async with client.stream("GET", f"{place.base_url}/models", headers=headers) as response:
                status = response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            why = str(error) or type(error).__name__
            return Answer(provider, is_good=False, is_reached=False, text=f"{place.base_url} does not answer: {why}")
    if status == _OK:
        return Answer(provider, is_good=True, text=f"{place.base_url} answers")
    refused = f" It refuses the key in {' or '.join(config.key_variables)}." if status in _REFUSED and key else ""
    return Answer(provider, is_good=False, text=f"{place.base_url} answers with status {status}.{refused}")
