"""Server faults: what kind of failure a model's server reports, and when it says to come back.

Pure. An error has the same kind whether it comes with a status of HTTP or inside a stream that began with 200. Every
provider has words of its own; the tables below hold the published ones.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

__all__ = ["Fault", "Kind", "error_in", "read_fault"]


class Kind(enum.Enum):
    """Kind of a failure: what becomes of the request."""

    RATE = enum.auto()
    """The rate limit is reached: the request is sent again when that is over."""

    QUOTA = enum.auto()
    """What was paid for, or given for a day, is used up: waiting does not help."""

    TRANSIENT = enum.auto()
    """The server's own fault, or overload: another try may well succeed."""

    FINAL = enum.auto()
    """The request itself: another try would fail as well."""


@dataclass(frozen=True)
class Fault:
    """A failure that a server has reported.

    Attributes:
        kind: see `Kind`.
        status: of HTTP, or as the error in the stream has it; None where there is none.
        after: seconds after which the server may be asked again; None where it does not say clearly.
    """

    kind: Kind
    status: int | None = None
    after: float | None = None


_QUOTA_NAMES: Final = (
    "insufficientquota",
    "insufficientbalance",
    "insufficientfunds",
    "insufficientcredit",
    "billing",
    "exceededcurrentquota",
    "quotaexhausted",
    "paymentrequired",
    "arrearage",
)
_PLAIN_RATE_NAMES: Final = ("ratelimit", "toomanyrequest", "throttl")
_RATE_NAMES: Final = (*_PLAIN_RATE_NAMES, "resourceexhausted", "requestlimit", "capacityexceeded")
_TRANSIENT_NAMES: Final = (
    "overload",
    "unavailable",
    "servererror",
    "internalerror",
    "internalfailure",
    "apierror",
    "timeout",
    "timedout",
    "deadlineexceeded",
    "badgateway",
    "connectionerror",
    "networkerror",
    "enginedead",
    "nocapacity",
)
"""Parts of an error's `type`, `code` or `status`, in lower case and without anything but letters."""

_FINAL_NAMES: Final = ("invalid", "notfound", "permission", "authentication", "unauthorized", "forbidden", "badrequest")

_QUOTA_WORDS: Final = re.compile(
    r"insufficient[ _-]?(quota|balance|funds|credits?)|exceeded your current quota|quota (is |has been )?exhausted"
    r"|(balance|credits?) (is |are )?(too low|exhausted|insufficient)|out of credits|used all available credits"
    r"|billing (hard )?limit|per[ -]day|daily (limit|quota)|余额不足|欠费",
    re.IGNORECASE,
)
_DAY: Final = "PerDay"
"""In the names of Google's daily quotas; what it says of a delay then is about another limit."""

_RATE_WORDS: Final = re.compile(
    r"rate[ _-]?limit|too many (concurrent )?requests|requests per (second|minute)|capacity exceeded"
    r"|并发|请求过多|频繁|频率|限流|流量限制|速率限制",
    re.IGNORECASE,
)
_TRANSIENT_WORDS: Final = re.compile(
    r"overloaded|at capacity|(temporarily|currently|service|is) unavailable|timed? ?out|bad gateway"
    r"|internal (server )?error|server had an error|connection (was )?(reset|closed|error)|try again later"
    r"|upstream (connect|request)? ?error|disconnect|connection (failure|termination|timeout|refused)"
    r"|(model runner|engine|worker|backend|server) (has |is |was )?(unexpectedly )?(stopped|exited|terminated|died|dead"
    r"|crashed|busy|shutting down)|out of memory|cuda error|繁忙|稍后再?[重尝]?试|请稍后|内部错误|网络错误|超时",
    re.IGNORECASE,
)

_DELAY_WORDS: Final = re.compile(
    r"(?:try again|retry|retry your request) (?:in|after) (?:about )?"
    r"((?:\d+(?:\.\d+)?\s*(?:ms|milliseconds?|h|hours?|m|min|minutes?|s|sec|seconds?)\s*)+)",
    re.IGNORECASE,
)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|h|hours?|m|min|minutes?|s|sec|seconds?)", re.IGNORECASE)
_UNITS: Final = {"ms": 0.001, "mi": 60.0, "h": 3600.0, "m": 60.0, "s": 1.0}

_DEEPEST: Final = 4
"""An error in an error: that of a provider in that of a router."""

_BESIDE: Final = ("code", "status", "status_code")
"""What some servers say of an error beside the object that they call `error`."""

_LARGEST_DELTA: Final = 10_000_000.0
_LARGEST_SECONDS: Final = 100_000_000_000.0
"""Where `x-ratelimit-reset` stops being a number of seconds from now and becomes a date in seconds, then in ms."""


def read_fault(status: int | None, headers: Mapping[str, str], body: object, *, now: float) -> Fault:
    """Return what a failure is.

    Args:
        status: of the response; None or 200 for an error inside a stream.
        headers: of the response, with any spelling of their names.
        body: the error as the server has it, parsed where it was JSON.
        now: seconds since 1970.
    """
    error = error_in(body)
    if status is None or status < HTTPStatus.BAD_REQUEST:
        status = _status_in(error)
    lowered = {name.lower(): value for name, value in headers.items()}
    after = _after(lowered, error, now)
    kind = _kind(status, error, after)
    advice = lowered.get("x-should-retry")
    if advice == "false" and kind in (Kind.RATE, Kind.TRANSIENT):
        kind = Kind.FINAL
    elif advice == "true" and kind is Kind.FINAL:
        kind = Kind.TRANSIENT
    return Fault(kind, status, after)


def _kind(status: int | None, error: Mapping[str, Any], after: float | None) -> Kind:
    names, words = _names(error), _words(error)
    if status == HTTPStatus.PAYMENT_REQUIRED or _any_part(_QUOTA_NAMES, names):
        return Kind.QUOTA
    if _is_rate(status, error, names, words):
        # "You exceeded your current quota" is what Google says of a limit per minute, too: then with a delay.
        used_up = _DAY in words or (after is None and _QUOTA_WORDS.search(words))
        return Kind.QUOTA if used_up else Kind.RATE
    if status is not None:
        # Locks and timeouts of the server's, as the client library has it.
        again = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (408, 409, 425)
        return Kind.TRANSIENT if again else Kind.FINAL
    if _any_part(_FINAL_NAMES, names):
        return Kind.FINAL
    transient = _any_part(_TRANSIENT_NAMES, names) or _TRANSIENT_WORDS.search(words)
    return Kind.TRANSIENT if transient else Kind.FINAL


def _is_rate(status: int | None, error: Mapping[str, Any], names: list[str], words: str) -> bool:
    match status:
        case 429 | 498:  # the second is Groq's
            return True
        case None:
            return _any_part(_RATE_NAMES, names) or _RATE_WORDS.search(words) is not None
        case 403 | 503:
            return _any_part(_RATE_NAMES, names)
        case _:
            # Gateways have statuses of their own for what the server behind them says.
            return _any_part(_PLAIN_RATE_NAMES, names) or _status_in(error) == HTTPStatus.TOO_MANY_REQUESTS


def error_in(body: object) -> dict[str, Any]:
    """Return the error itself: what is under `error`, the first of a list, or the text as a message."""
    beside: dict[str, Any] = {}
    for _ in range(_DEEPEST):
        if isinstance(body, list) and body:
            body = body[0]
        if not isinstance(body, Mapping):
            return {**beside, "message": str(body)} if body else beside
        found = {str(key): value for key, value in body.items()}
        if not found.get("error"):
            return beside | found
        beside |= {key: found[key] for key in _BESIDE if key in found}
        body = found["error"]
    return beside


def _status_in(error: Mapping[str, Any]) -> int | None:
    for key in ("code", "status", "status_code", "http_status"):
        value = error.get(key)
        if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value):
            value = int(value)
        if isinstance(value, int | float) and 400 <= value < 600:  # noqa: PLR2004 - HTTP's errors
            return int(value)
    return None


def _names(error: Mapping[str, Any]) -> list[str]:
    """Return how the error is called, in lower case letters only."""
    metadata = error.get("metadata")
    places = (error, metadata) if isinstance(metadata, Mapping) else (error,)
    values = (place.get(key) for place in places for key in ("type", "code", "status", "error_type", "reason"))
    return [re.sub(r"[^a-z]", "", value.lower()) for value in values if isinstance(value, str)]


def _any_part(parts: tuple[str, ...], names: list[str]) -> bool:
    return any(part in name for part in parts for name in names)


def _words(error: Mapping[str, Any]) -> str:
    """Return everything that the error says, as text, within a bound."""
    return json.dumps(dict(error), ensure_ascii=False, default=str)[:20_000]


def _after(headers: Mapping[str, str], error: Mapping[str, Any], now: float) -> float | None:
    """Return the delay that the server asks for; the first clear one, the most exact ones first."""
    for seconds in _delays(headers, error, now):
        if seconds is not None and math.isfinite(seconds) and seconds >= 0.0:
            return seconds
    return None


def _delays(headers: Mapping[str, str], error: Mapping[str, Any], now: float) -> Iterator[float | None]:
    milliseconds = _number(headers.get("retry-after-ms"))
    yield milliseconds / 1000.0 if milliseconds is not None else None
    yield _moment(headers.get("retry-after"), _clock(headers, now))
    yield _retry_info(error)
    metadata = error.get("metadata")
    inner = metadata.get("headers") if isinstance(metadata, Mapping) else None
    beside = {str(name).lower(): str(value) for name, value in inner.items()} if isinstance(inner, Mapping) else {}
    yield _moment(beside.get("retry-after"), now)
    for found in (headers, beside):
        yield from _resets(found, _clock(found, now))
    said = _DELAY_WORDS.search(str(error.get("message", "")))
    yield _duration(said[1]) if said else None


def _resets(headers: Mapping[str, str], now: float) -> Iterator[float | None]:
    """Yield when each limit that has nothing left begins anew; a header for a limit with room left tells nothing."""
    used_up = [
        name
        for name, left in headers.items()
        if "ratelimit" in name and "remaining" in name and _number(left) == 0.0  # the only clear sign
    ]
    resets = (_reset(headers.get(name.replace("remaining", "reset")), now) for name in used_up)
    anthropic = (
        _reset(headers.get(f"{name.removesuffix('-remaining')}-reset"), now)
        for name in used_up
        if name.endswith("-remaining")
    )
    clear = [seconds for seconds in (*resets, *anthropic) if seconds is not None]
    yield max(clear) if clear else None
    for name in ("x-ratelimit-reset", "ratelimit-reset"):
        yield _reset(headers.get(name), now) if not used_up else None


def _reset(value: str | None, now: float) -> float | None:
    """Read a reset: seconds from now, a duration such as `6m0s`, a date in seconds, in milliseconds or in words."""
    number = _number(value)
    if number is None:
        return _duration(value) if value and _PART.match(value.strip()) else _moment(value, now)
    if number > _LARGEST_SECONDS:
        return max(0.0, number / 1000.0 - now)
    return max(0.0, number - now) if number > _LARGEST_DELTA else number


def _moment(value: str | None, now: float) -> float | None:
    """Read `Retry-After`: seconds, or a date; returns the seconds that are left."""
    number = _number(value)
    if number is not None or not value:
        return number
    date = _date(value)
    return max(0.0, date - now) if date is not None else None


def _clock(headers: Mapping[str, str], now: float) -> float:
    """Return the time by the server's own clock, against which its dates are meant."""
    date = _date(headers.get("date", ""))
    return date if date is not None else now


def _date(value: str) -> float | None:
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(value.strip())
            return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None


def _retry_info(error: Mapping[str, Any]) -> float | None:
    """Return Google's `retryDelay`."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and isinstance(detail.get("retryDelay"), str):
            return _duration(detail["retryDelay"])
    return None


def _duration(text: str) -> float:
    """Read a duration such as `1m30s`, `20ms` or `26 seconds`."""
    return sum(
        float(number) * _UNITS.get(unit[:2].lower(), _UNITS[unit[0].lower()]) for number, unit in _PART.findall(text)
    )


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None
