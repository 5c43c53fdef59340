"""Errors of model servers: turns what goes wrong between us and a server into sentences that name the remedy.

Nothing here may let a key out: whatever a server or the client library says is shown with the key blotted out, and
addresses without the user name and password that they may hold.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import httpx2

from ...errors import ContextLengthError, ModelError, RateLimitError, RefusalError
from ...net.proxies import Proxy
from ...team.config import ModelConfig
from ...team.secrets import blotted
from ...text import one_line
from ..base import Turn
from ..retries import BrokenStreamError, MislabelledError, TransientError
from .library import openai
from .server_faults import Fault, Kind, read_fault

__all__ = ["ModelErrors"]

_WORDS_LIMIT = 600
"""Characters of a server's own words that go into a message: enough for a sentence, too few for a page of HTML."""

_VALUE_LIMIT: Final = 100
"""Characters of a value that a server sent where another was due."""

_DEEPEST: Final = 10
"""Errors in errors that are looked into for the words."""

_TOO_LONG_STATUSES: Final = frozenset({400, 413, 422, 429, 500})
"""With which servers answer that a conversation is too long; 429 where it has more tokens than a minute may have."""

_TOO_LONG: Final = (
    r"context[ _-]?(length|window|size)|(prompt|input|request|conversation|messages?) (is|are) too (long|large)"
    r"|input token count|too many (input |prompt )?tokens(?! per |\W+please wait)|reduce the length"
    r"|(exceeds?|beyond) the (model'?s )?(max\w*|available) [\w ]*(tokens|context|length)|request too large for"
    r"|tokens must be reduced|prompt tokens? .*exceed|exceed_context_size"
)


@dataclass(frozen=True)
class ModelErrors:
    """Makes the errors of one model.

    Attributes:
        config: the model.
        key: its key, to keep it out of messages; None where it has none.
        idle_timeout: seconds without a byte before the server counts as stalled.
        proxy: over which its server is reached; None: directly.
        secrets: what else must be in no message: a token in the address, say.
    """

    config: ModelConfig
    key: str | None = field(repr=False)
    idle_timeout: float
    proxy: Proxy | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def request_failed(self, error: Exception) -> ModelError:
        """Say why no answer began: refused by the server, not reached, or not in time."""
        if self.proxy is not None and (blamed := self.proxy.blame(error.__cause__ or error)):
            return self._unreached(blamed)
        match error:
            case openai.APIStatusError():
                return self._status(error)
            case openai.APITimeoutError():
                return self._timeout(error)
            case openai.APIConnectionError():
                return self._connection(error)
            case _:
                return self.error(f"the request to {self._url} failed: {self._name(error)}")

    def stream_failed(self, error: Exception, characters: int) -> ModelError:
        """Say why an answer broke off after that many characters of text."""
        match error:
            case httpx2.TimeoutException():
                return self._broken(
                    f"{self._url} stalled: nothing came for {self.idle_timeout:g} s, after {characters} characters of "
                    "text. Try again, or raise `model_idle_timeout` in the team file's `runtime` if the model is slow."
                )
            case httpx2.HTTPError():
                return self._broken(
                    f"{self._url} broke the connection after {characters} characters of text, before the answer was "
                    f"complete ({self._name(error)}). Try again; the server's log may say why."
                )
            case _:
                return self.garbage(self._name(error))

    def in_stream(self, error: object, characters: int, event: object = None) -> ModelError:
        """Say what error a server reported in its answer, in whichever shape, after that many characters of text.

        It is of the same kind as one that comes with a status of HTTP. The `event` that it came in may have the status.
        """
        words = self._server_words(error) or "without a word"
        if _says_too_long(words):
            return self.too_long(words)
        has_error = isinstance(event, Mapping) and event.get("error")
        fault = read_fault(None, {}, event if has_error else error, now=time.time())
        said = f"{fault.status}: {words}" if fault.status is not None else words
        end = "" if said.endswith((".", "!", "?")) else "."
        message = f"{self._url} reported an error after {characters} characters of text: {said}{end}"
        return self._failed(fault, message, said)

    def unreadable(self, what: str, characters: int) -> BrokenStreamError:
        """Say that there was something in a chat completion that cannot be understood."""
        return self._broken(
            f"{self._url} sent something that is not a streamed chat completion after {characters} characters of text: "
            f"{what}. Try again; if it happens again, the server, or a proxy before it, is at fault."
        )

    def failed_end(self, word: str, characters: int) -> BrokenStreamError:
        """Say that an answer ended for a reason that does not make it whole."""
        return self._broken(
            f"{self._url} ended the answer after {characters} characters of text with the finish reason "
            f"{self.quoted(word)!r}, "
            "which does not say that it is complete. Try again; the server's log may say why."
        )

    def nothing_usable(self, word: str | None, aside: str, *, lacks_calls: bool) -> BrokenStreamError:
        """Say that an answer has nothing in it that an agent could use, or not what it says to have."""
        reason = f"finish reason {self.quoted(word)!r}" if word else "no finish reason"
        if lacks_calls:
            return self._broken(
                f"{self._url} said that the model calls tools ({reason}), and sent no call{aside}. Try again; the "
                "server may not understand the format in which this model calls tools."
            )
        return self._broken(
            f"the answer of {self._url} ended before anything was said{aside}: neither text nor a tool call came "
            f"({reason}). Try again; if it happens often, the model may need another instruction, or more max_tokens."
        )

    def mislabelled(self, word: str | None, turn: Turn) -> MislabelledError:
        """Say that an answer has text, and none of the calls that its finish reason announces."""
        return MislabelledError(str(self.nothing_usable(word, "", lacks_calls=True)), turn)

    def broke_off(self, characters: int) -> BrokenStreamError:
        """Say that a stream ended well before the answer did; part of an answer must not pass for all of it."""
        return self._broken(
            f"{self._url} ended the answer after {characters} characters of text without saying that it was complete. "
            "Try again; the server's log, or that of a proxy before it, may say why."
        )

    def garbage(self, what: str) -> ModelError:
        """Say that the server sent something that is not a chat completion."""
        return self.error(
            f"{self._url} sent something that is not a streamed chat completion: {what}. "
            f"Check that base_url is the root of an OpenAI-compatible endpoint (it often ends with /v1).{self._way}"
        )

    def silence(self, seconds: float, characters: int) -> BrokenStreamError:
        """Say that the server gave signs of life, and nothing else for so long."""
        return self._broken(
            f"{self._url} stalled: it kept the connection alive, and said nothing for {seconds:g} s, after "
            f"{characters} characters of text. Try again, or raise `model_idle_timeout` in the team file's `runtime`."
        )

    def refusal(self, words: str) -> RefusalError:
        """Say that the model refused, and with which words."""
        return RefusalError(self._sentence(f"the model refused: {words}"))

    def too_long(self, said: str) -> ContextLengthError:
        """Say that the conversation does not fit."""
        return ContextLengthError(self._sentence(f"the conversation is too long for it, says {self._url} ({said})."))

    def quoted(self, text: str, most: int = _VALUE_LIMIT) -> str:
        """Return what a server sent as it may stand in a message: on one line, cut after that many characters."""
        # In this order: cut first, and half a key could be left at the end.
        return one_line(self._blotted(text), most)

    def error(self, message: str) -> ModelError:
        """Make an error that names the model, with the key blotted out."""
        return ModelError(self._sentence(message))

    def _failed(self, fault: Fault, message: str, said: str) -> ModelError:
        """Make the error for a fault; `message` is for one that is neither a rate limit nor an exhausted quota."""
        match fault.kind:
            case Kind.RATE:
                return RateLimitError(
                    self._sentence(
                        f"{self._url} refused because a rate limit is reached ({said}).{_come_back(fault)} Run fewer "
                        "tasks at once (max_running), raise `rate_patience` in the team file's `runtime`, or the limit."
                    ),
                    model=self.config.reference,
                    server=f"{self._url} {self.config.name}"[:200],
                    after=fault.after,
                )
            case Kind.QUOTA:
                return self.error(
                    f"{self._url} refused because the quota is exhausted ({said}). Waiting does not help: raise the "
                    "quota, or add credit."
                )
            case Kind.TRANSIENT:
                return TransientError(self._sentence(message), fault.after)
            case Kind.FINAL:
                return self.error(message)

    def _broken(self, message: str) -> BrokenStreamError:
        return BrokenStreamError(self._sentence(message))

    def _unreached(self, message: str) -> TransientError:
        return TransientError(self._sentence(message))

    def _sentence(self, message: str) -> str:
        return f"Model {self.config.reference!r}: {self._blotted(message)}"

    @property
    def _url(self) -> str:
        url = httpx2.URL(self.config.base_url)
        return str(url.copy_with(userinfo=b"", query=None))

    @property
    def _variables(self) -> str:
        return " or ".join(self.config.key_variables)

    def _status(self, error: openai.APIStatusError) -> ModelError:
        status = error.status_code
        words = self._server_words(error.body)
        said = f"{status}: {words}" if words else str(status)
        if status in _TOO_LONG_STATUSES and (status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or _says_too_long(words)):
            return self.too_long(said)
        fault = read_fault(status, error.response.headers, error.body, now=time.time())
        match status:
            case 401 if self.key:
                message = f"{self._url} does not accept the key ({said}). Set {self._variables} to a valid one."
            case 401 if self.config.key_variables:
                message = f"{self._url} asks for a key ({said}). Set {self._variables} to it."
            case 401:
                message = (
                    f"{self._url} asks for a key ({said}). Set token_key in the team file to the name of the "
                    "environment variable that holds it."
                )
            case 403:
                message = (
                    f"{self._url} denies access ({said}). The key{self._from_variables} may not use the model "
                    f"{self.config.name!r}, or not from here."
                )
            case 404:
                message = (
                    f"not found ({said}). Either the server does not have the model {self.config.name!r}, or there is "
                    f"no OpenAI-compatible endpoint at the base URL {self._url}: check both."
                )
            case 429:
                message = (
                    f"{self._url} refused for a rate limit or an exhausted quota ({said}). Wait, run fewer tasks at "
                    "once (max_running), or raise the quota."
                )
            case _ if 300 <= status < 400:  # noqa: PLR2004 - the redirects of HTTP
                target = error.response.headers.get("location", "an address it does not name")
                target = self.quoted(target, _WORDS_LIMIT)
                message = f"{self._url} redirects to {target} ({status}). Set base_url to the right address."
            case _ if status < 500:  # noqa: PLR2004 - HTTP's border between the client's and the server's fault
                message = f"{self._url} rejected the request ({said})."
            case _:
                message = f"{self._url} failed ({said}). The fault is the server's; try again later.{self._way}"
        return self._failed(fault, message, said)

    def _timeout(self, error: openai.APITimeoutError) -> ModelError:
        if isinstance(error.__cause__, httpx2.ConnectTimeout):
            return self._unreached(
                f"no connection to {self._url} in time. Is the address right, and is the server reachable from here?"
            )
        return self._unreached(
            f"{self._url} took the request, but did not begin to answer within {self.idle_timeout:g} s"
            f". Raise `model_idle_timeout` in the team file's `runtime` if the model is slow."
        )

    def _connection(self, error: openai.APIConnectionError) -> ModelError:
        cause = error.__cause__ or error
        if isinstance(cause, httpx2.ConnectError):
            return self._unreached(
                f"cannot connect to {self._url} ({self._name(cause)}). Is the server running, and is base_url right?"
                f"{self._way}"
            )
        return self._unreached(
            f"{self._url} closed the connection without an answer ({self._name(cause)}). "
            f"Try again; the server's log may say why.{self._way}"
        )

    @property
    def _way(self) -> str:
        """A sentence on the proxy, for what it may have to do with; empty if there is none."""
        return f" {self.proxy.way}" if self.proxy is not None else ""

    @property
    def _from_variables(self) -> str:
        return f" in {self._variables}" if self._variables else ""

    def _name(self, error: BaseException) -> str:
        text = self.quoted(str(error), _WORDS_LIMIT)
        return f"{type(error).__name__}: {text}" if text else type(error).__name__

    def _server_words(self, body: object) -> str:
        """Return what a server said in an error's body, whichever of the usual shapes it has."""
        for _ in range(_DEEPEST):
            inner = [body.get(key) for key in ("message", "detail", "error")] if isinstance(body, Mapping) else []
            if not any(inner):
                break
            body = next(filter(None, inner))
        if body is None:
            return ""
        return self.quoted(body if isinstance(body, str) else json.dumps(body, ensure_ascii=False), _WORDS_LIMIT)

    def _blotted(self, text: str) -> str:
        secrets = (self.key or "", *self.secrets, *(self.proxy.secrets if self.proxy is not None else ()))
        return blotted(text, secrets, "[key]")


def _says_too_long(words: str) -> bool:
    """Whether a server complains of the length of the conversation; each kind of server has words of its own."""
    return re.search(_TOO_LONG, words, re.IGNORECASE) is not None


def _come_back(fault: Fault) -> str:
    """Return when the server says to come back, as a sentence; empty if it does not say."""
    return f" It says to come back after {fault.after:.0f} s." if fault.after is not None and fault.after >= 1 else ""
