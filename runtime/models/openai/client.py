"""OpenAI client: speaks to every model behind an OpenAI-compatible chat-completions endpoint.

It sends the conversation, streams the answer, and raises a `ModelError` for whatever goes wrong. It never shows a key,
never changes the conversation, and never decides what happens after a turn. Importing `openai` takes long, so import
this module only where such a model is used, or ahead of time in the process that task processes are forked from.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import httpx2
import msgspec

from ...errors import ModelError
from ...net.certificates import authorities, no_authorities
from ...net.proxies import Proxy, ProxyError, connection_options, proxy_for
from ...team.config import ModelConfig
from ...team.providers import endpoint, resolved, secrets_of_model
from ...text import duration, one_line
from ..base import Message, Said, ToolSchema, Turn, Usage
from ..retries import RETRY_COUNT, BrokenStreamError, MislabelledError, Retries, TransientError
from ..sendable import Server, sendable
from .errors import ModelErrors
from .event_stream import NOT_JSON, EventDecoder, StreamEvent, is_flat
from .finish_reasons import End
from .library import get_platform, openai
from .parameters import Parameters
from .stream import ShapeError, TurnAssembler, reported_error
from .usage import estimated

__all__ = ["CONNECT_TIMEOUT", "OpenAIModel", "http_client"]

_SHOWN = 300
"""Characters of why a request is sent again that its task's output has."""

_SIGNS_OF_LIFE = 5
"""How many idle timeouts a server may fill with keep-alive comments alone."""

_AFTER_END = 5.0
"""Seconds that the usage may take to come after the end of an answer."""

_AFTER_DONE = 0.1
"""Seconds that a stream gets to close after it said `[DONE]`: its connection can be used again then."""

CONNECT_TIMEOUT = 10.0
"""Seconds to connect. Far less than a model may think: a server that does not even accept is not there."""


class _AdaptedError(Exception):
    """The server has refused something of the request, which has been changed: ask again.

    The message says so to whoever hears the model; empty where nothing of what the team file says was changed.
    """


class OpenAIModel:
    """A model behind an OpenAI-compatible endpoint; implements `Model`.

    Args:
        config: the model; its `options` go into the request as they are, and None takes a parameter out
            (`stream_options: null` for a server that rejects it).
        environ: where the key is looked up.
        idle_timeout: seconds without a byte from the server before it counts as stalled.
        retries: how often a request is sent again where that may help: no connection, or a fault of the server. A rate
            limit is an error at once (`RateLimitError`): the caller decides whether to wait.

    Raises:
        ModelError: the key is missing, or key or base URL cannot be used.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        environ: Mapping[str, str],
        idle_timeout: float,
        retries: int = 2,
    ) -> None:
        secrets = secrets_of_model(config, environ)
        config = resolved(config, environ)
        place = endpoint(config, environ)
        key = place.api_key
        self._config = msgspec.structs.replace(config, base_url=place.base_url)
        self._server = Server.of(self._config)
        self._errors = ModelErrors(self._config, key, idle_timeout, secrets=secrets)
        self._unreachable: ModelError | None = None
        try:
            proxy = proxy_for(place.base_url, environ)
        except ProxyError as error:
            # Said by the first request: another model may stand in for this one, or never need it to.
            proxy, self._unreachable = None, self._errors.error(str(error))
        self._errors = dataclasses.replace(self._errors, proxy=proxy)
        self._headers: dict[str, str | openai.Omit] = {"Authorization": f"Bearer {key}" if key else openai.omit}
        if config.provider != "openai":
            # The library takes these from OPENAI_… variables, which are nobody else's business.
            self._headers |= {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
        if config.provider == "azure" and key:
            # Its older endpoints know the key under this name only.
            self._headers["api-key"] = key
        self._parameters = Parameters(self._config)
        self._silence = idle_timeout * _SIGNS_OF_LIFE
        self._unreported = Usage()
        self._retries = retries
        timeout = openai.Timeout(idle_timeout, connect=CONNECT_TIMEOUT)
        pool = http_client(timeout, secure=not place.base_url.startswith("http://"), proxy=proxy)
        try:
            self._client = openai.AsyncOpenAI(
                # Never None, which would send the OpenAI key of the environment to whatever server this is.
                api_key=key or "none",
                base_url=place.base_url,
                max_retries=0,  # `complete` does it, as it does for errors that come inside an answer
                timeout=timeout,
                http_client=pool,
            )
        except httpx2.InvalidURL as error:
            raise self._errors.error(f"the base URL is not valid: {error}. Correct base_url.") from None
        # For a header. Else the client finds it out in a thread, which costs a task's process a millisecond.
        self._client._platform = get_platform()  # noqa: SLF001 - there is no other way; where it is not used, no harm

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], on_text: Callable[[str], None]
    ) -> Turn:
        """Answer the conversation; see `Model.complete`. Cancelling it closes the connection.

        What had been said of an answer that broke off, and is asked for again, stays with whoever hears `on_text`.
        """
        if self._unreachable is not None:
            raise self._unreachable
        retries = Retries(self._retries)
        while True:
            said = Said(on_text)
            try:
                turn = await self._complete(messages, tools, said, retries.count)
            except _AdaptedError as error:
                if str(error):
                    on_text(f"[{self._config.reference}: {error}]\n")
                continue
            except MislabelledError as error:
                why: ModelError = error
                try:
                    pause = retries.pause(error)
                except ModelError:
                    # This server says so of plain text, too.
                    return msgspec.structs.replace(error.turn, usage=self.take_unreported())
            except (BrokenStreamError, TransientError) as error:
                why = error
                pause = retries.pause(error)
            else:
                return msgspec.structs.replace(turn, usage=turn.usage + self.take_unreported())
            if said.anything:
                on_text("\n[The answer broke off here, and is asked for again.]\n")
            else:
                on_text(f"[{one_line(str(why), _SHOWN)} It is asked again in {duration(pause)}.]\n")
            await asyncio.sleep(pause)

    async def _complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], on_text: Callable[[str], None], retried: int
    ) -> Turn:
        request = self._request(messages, tools)
        try:
            # Posted without the typed `chat.completions.create`: options of other providers go through as they are,
            # and chunks come as plain data, to be checked here rather than trusted to have every field.
            stream = await self._client.post(
                "/chat/completions",
                body=request,
                cast_to=object,
                options={"headers": {**self._headers, RETRY_COUNT: str(retried)}},
                stream=True,
                stream_cls=openai.AsyncStream[object],
            )
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            if isinstance(error, openai.APIStatusError):
                self._adapt(error, request["messages"])
            # Its cause can quote headers, and with them the key; so none of it is chained.
            raise self._errors.request_failed(error) from None
        assembler = TurnAssembler(on_text, self._config.cost)
        try:
            async with stream:
                # Read here and not by the library, whose stream ends where an event has no data.
                turn = await self._read(stream.response, assembler)
        except BaseException as error:
            # Refused, broken off or stopped: what the server has counted until then is spent all the same.
            if isinstance(error, MislabelledError) and not assembler.has_usage:
                self._unreported += self._estimated(request, error.turn)
            else:
                self._unreported += assembler.usage
            raise
        return turn if assembler.has_usage else msgspec.structs.replace(turn, usage=self._estimated(request, turn))

    def _estimated(self, request: Mapping[str, Any], turn: Turn) -> Usage:
        return estimated(request["messages"], request.get("tools", ()), turn, self._config.cost)

    def _adapt(self, error: openai.APIStatusError, sent: Sequence[Message]) -> None:
        """Change what the server has refused, where that can be known.

        Raises:
            _AdaptedError: something was changed.
        """
        if not is_flat(error.body):
            error.body = error.response.text  # whoever looks at it would go through all of it
        if (server := self._server.learned(str(error), sent)) is not None:
            self._server = server
            raise _AdaptedError from None
        if changed := self._parameters.adapt(error.status_code, error.body):
            raise _AdaptedError(changed) from None

    def take_unreported(self) -> Usage:
        usage, self._unreported = self._unreported, Usage()
        return usage

    async def close(self) -> None:
        await self._client.close()

    def _request(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> dict[str, Any]:
        request = {
            "stream_options": {"include_usage": True},
            **self._parameters.now,
            "model": self._config.name,
            "messages": sendable(messages, self._server, has_tools=bool(tools)),
            # An empty list is an error to several servers.
            "tools": list(tools) or None,
            "stream": True,
        }
        return {name: value for name, value in request.items() if value is not None}

    async def _read(self, response: httpx2.Response, assembler: TurnAssembler) -> Turn:
        decoder = EventDecoder()
        first = ""
        heard, clock = 0, asyncio.get_running_loop().time
        until = clock() + self._silence
        async with contextlib.aclosing(_events(response, decoder)) as events:
            while (event := await self._next(events, assembler, until)) is not None:
                if not event.is_done and event.data is not None:
                    first = first or event.text
                self._take(event, assembler)
                # Events that say nothing are signs of life, as comments are.
                if assembler.pieces > heard:
                    heard, until = assembler.pieces, clock() + self._silence
        if not assembler.is_completion and (strange := first or decoder.stray):
            if decoder.is_no_stream and not first:
                strange = re.sub(r"\s\S*\Z", "", strange)  # it was cut: its last word may be half of a key
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower() or "no content type"
            raise self._errors.garbage(f"{kind}, which begins {self._errors.quoted(strange, 300)!r}")
        return self._judged(assembler)

    async def _next(
        self, events: AsyncIterator[StreamEvent], assembler: TurnAssembler, until: float
    ) -> StreamEvent | None:
        """Return the stream's next event, or None at its end; every failure of it becomes a ModelError.

        Once the answer has ended, nothing that goes wrong can take it back, and the server need not close the stream.

        Args:
            events: of the stream.
            assembler: has what came before.
            until: when (the event loop's clock) the server counts as stalled.
        """
        if assembler.is_ending:
            patience = _AFTER_DONE if assembler.is_over else _AFTER_END
            until = min(until, asyncio.get_running_loop().time() + patience)
        try:
            async with asyncio.timeout_at(until):
                return await anext(events)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            if assembler.is_ending:
                return None
            raise self._errors.silence(self._silence, assembler.text_length) from None
        except (httpx2.HTTPError, ValueError) as error:
            if assembler.end is not None:
                return None
            raise self._errors.stream_failed(error, assembler.text_length) from None

    def _take(self, event: StreamEvent, assembler: TurnAssembler) -> None:
        """Add an event to the answer.

        Raises:
            ModelError: it reports an error, or cannot be understood.
        """
        if event.is_done:
            assembler.end_stream()
            return
        if assembler.is_over:
            assembler.add_usage(event.data)
            return
        if event.data is NOT_JSON and event.name != "error":
            self._misunderstood(f"{self._errors.quoted(event.text, 200)!r}, which is not JSON", event, assembler)
            return
        reported = event.text if event.data is NOT_JSON else reported_error(event.data, event.name)
        if reported is not None:
            assembler.add_usage(event.data)
            raise self._errors.in_stream(reported, assembler.text_length, event.data)
        try:
            assembler.add(event.data, is_bare=event.is_bare)
        except ShapeError as error:
            self._misunderstood(error.told(self._errors.quoted), event, assembler)

    def _misunderstood(self, what: str, event: StreamEvent, assembler: TurnAssembler) -> None:
        """Raise a ModelError that says what cannot be understood, unless the answer had ended before."""
        if event.is_bare and not assembler.is_completion:
            raise self._errors.garbage(what) from None
        if assembler.end is None:
            raise self._errors.unreadable(what, assembler.text_length) from None

    def _judged(self, assembler: TurnAssembler) -> Turn:
        """Return the turn, if the answer is whole.

        Raises:
            ModelError: it was refused, is not whole, or has nothing in it.
        """
        end, word = assembler.end, assembler.finish_reason
        if assembler.refusal:
            raise self._errors.refusal(assembler.refusal)
        if end is End.REFUSED:
            spoken = self._errors.quoted(assembler.finish().content, 300)
            said = f" It had said: {spoken}" if spoken else ""
            raise self._errors.refusal(f"the provider's content filter ended the answer ({word}).{said}")
        if end is End.FAILED:
            raise self._errors.failed_end(word or "", assembler.text_length)
        if end is End.CUT and not assembler.has_answer:
            raise self._errors.error(
                f"the model reached its token limit before it said anything{_after_thought(assembler)}. Raise "
                "max_tokens, or shorten the conversation."
            )
        if not assembler.has_answer:
            raise self._errors.nothing_usable(word, _after_thought(assembler), lacks_calls=assembler.lacks_calls)
        if assembler.lacks_calls:
            raise self._errors.mislabelled(word, assembler.finish(self._server.identity))
        if end is None:
            raise self._errors.broke_off(assembler.text_length)
        return assembler.finish(self._server.identity)


def http_client(timeout: openai.Timeout, *, secure: bool, proxy: Proxy | None = None) -> httpx2.AsyncClient:
    """Make the connection pool for one server. Redirects are reported and not followed: a key is for one address.

    No certificates are loaded for a server without TLS, such as one on this machine: should TLS be used there,
    verification fails.
    """
    return openai.DefaultAsyncHttpxClient(
        verify=authorities() if secure else no_authorities(),
        timeout=timeout,
        follow_redirects=False,
        **connection_options(proxy),
    )


async def _events(response: httpx2.Response, decoder: EventDecoder) -> AsyncGenerator[StreamEvent]:
    """Give the events of an answer as they come; ends early where it is plain that there are none."""
    has_events = False
    async with contextlib.aclosing(response.aiter_bytes()) as pieces:
        async for piece in pieces:
            for event in decoder.feed(piece):
                has_events = True
                yield event
            if decoder.is_no_stream and not has_events:
                return
    for event in decoder.finish():
        yield event


def _after_thought(assembler: TurnAssembler) -> str:
    return " (but had reasoned)" if assembler.has_reasoning else ""
