"""What kind of failure a server reports, and when it says to come back: published errors, word for word."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from subactors.runtime.models.openai.server_faults import Kind, read_fault

NOW = 1_800_000_000.0


def kind(status: int | None, body: object, headers: dict[str, str] | None = None) -> Kind:
    return read_fault(status, headers or {}, body, now=NOW).kind


def after(headers: dict[str, str], body: object = None) -> float | None:
    return read_fault(429, headers, body, now=NOW).after


@pytest.mark.parametrize(
    "error",
    [
        {"code": 429, "message": "Rate limit exceeded"},
        {"code": "429", "message": "slow"},
        {"message": "Slow down.", "type": "rate_limit_error"},
        {"message": "Rate limit reached for gpt-4o", "type": "tokens", "code": "rate_limit_exceeded"},
        {"status": "RESOURCE_EXHAUSTED", "message": "Resource has been exhausted."},
        {"type": "ThrottlingException", "message": "Too many tokens, please wait."},
        "Too many requests",
        {"code": "1302", "message": "您当前使用该API的并发数过高"},
        {"type": "service_tier_capacity_exceeded", "message": "Service tier capacity exceeded.", "code": "3505"},
    ],
)
def test_a_rate_limit_is_known_inside_a_stream(error: object) -> None:
    assert kind(None, error) is Kind.RATE
    assert kind(200, {"error": error}) is Kind.RATE


@pytest.mark.parametrize(
    "error",
    [
        {"code": 502, "message": "Provider returned error", "metadata": {"error_type": "provider_unavailable"}},
        {"type": "overloaded_error", "message": "Overloaded"},
        {"object": "error", "message": "engine is restarting", "type": "ServiceUnavailable", "code": 503},
        {"message": "The server had an error while processing your request.", "type": "server_error", "code": None},
        {"code": "504", "message": "upstream"},
        {"type": "api_error", "message": "Internal server error"},
        {"status": "UNAVAILABLE", "message": "The model is overloaded."},
        "upstream connection reset",
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        {"message": "model runner has unexpectedly stopped"},
        {"code": "1234", "message": "网络错误"},
    ],
)
def test_a_fault_of_the_server_is_known_inside_a_stream(error: object) -> None:
    assert kind(None, error) is Kind.TRANSIENT


@pytest.mark.parametrize(
    "error",
    [
        {"code": 400, "message": "bad schema", "type": "invalid_request_error"},
        {"message": "messages.1: bad, try again later", "type": "invalid_request_error"},
        {"code": 401, "message": "no key"},
        {"message": "the grammar is wrong"},
        {},
        None,
    ],
)
def test_what_another_try_cannot_help_is_final(error: object) -> None:
    assert kind(None, error) is Kind.FINAL


@pytest.mark.parametrize(("status", "expected"), [(400, Kind.FINAL), (404, Kind.FINAL), (408, Kind.TRANSIENT)])
def test_a_status_of_http_says_more_than_words(status: int, expected: Kind) -> None:
    assert kind(status, {"error": {"message": "overloaded, try again later"}}) is expected


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, {"code": 429, "message": "litellm.RateLimitError: try another time"}),
        (400, {"code": "ThrottlingException", "message": "Rate exceeded"}),
        (502, {"type": "rate_limit_error", "message": "upstream said so"}),
        (498, {"type": "capacity_exceeded", "message": "Flex tier capacity exceeded"}),
    ],
)
def test_a_rate_limit_that_comes_with_another_status_is_one(status: int, error: dict[str, Any]) -> None:
    assert kind(status, {"error": error}) is Kind.RATE


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (
            429,
            {"message": "You exceeded it.", "type": "insufficient_quota", "code": "insufficient_quota"},
        ),
        (429, {"message": "You exceeded your current quota, please check your plan and billing details."}),
        (429, {"type": "exceeded_current_quota_error", "message": "suspended"}),
        (429, {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}),
        (None, {"code": 402, "message": "Insufficient credits"}),
        (402, {"message": "Insufficient Balance"}),
        (429, {"message": "Rate limit exceeded: free-models-per-day"}),
    ],
)
def test_an_exhausted_quota_is_no_rate_limit(status: int | None, error: dict[str, Any]) -> None:
    assert kind(status, {"error": error}) is Kind.QUOTA


def test_googles_quota_per_minute_is_a_rate_limit_and_its_quota_per_day_none() -> None:
    def answer(quota: str) -> list[Any]:
        details = [
            {"violations": [{"quotaId": quota}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38s"},
        ]
        words = "You exceeded your current quota, please check your plan and billing details."
        return [{"error": {"code": 429, "message": words, "status": "RESOURCE_EXHAUSTED", "details": details}}]

    fault = read_fault(429, {}, answer("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), now=NOW)
    assert (fault.kind, fault.after) == (Kind.RATE, 38.0)
    assert kind(429, answer("GenerateRequestsPerDayPerProjectPerModel-FreeTier")) is Kind.QUOTA


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"retry-after": formatdate(NOW + 90, usegmt=True), "date": formatdate(NOW + 60, usegmt=True)}, 30.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan", "x-ratelimit-reset": "3"}, 3.0),
        ({"x-ratelimit-reset": str(int(NOW) + 12)}, 12.0),
        ({"x-ratelimit-reset": str(int(NOW + 12) * 1000)}, 12.0),
        ({"ratelimit-reset": "9"}, 9.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m6s"}, 66.0),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1m6s"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "5",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "20ms",
            },
            0.02,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:21Z",
            },
            21.0,
        ),
        ({}, None),
    ],
)
def test_when_to_come_back_is_read_from_headers(headers: dict[str, str], expected: float | None) -> None:
    assert after(headers) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Rate limit reached for gpt-4o. Please try again in 6ms. Visit …", 0.006),
        ("Please try again in 1m30.5s.", 90.5),
        ("Requests have exceeded call rate limit. Please retry after 26 seconds.", 26.0),
        ("Please retry in 38.37s.", 38.37),
        ("Try again in a while.", None),
    ],
)
def test_when_to_come_back_is_read_from_words(words: str, expected: float | None) -> None:
    assert after({}, {"error": {"message": words}}) == pytest.approx(expected)


def test_when_to_come_back_is_read_from_the_headers_that_a_router_hands_on() -> None:
    error = {"code": 429, "metadata": {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000045000"}}}
    assert after({}, {"error": error}) == pytest.approx(45.0)


def test_a_server_that_says_not_to_try_again_is_taken_at_its_word() -> None:
    assert kind(429, "slow down", {"x-should-retry": "false"}) is Kind.FINAL
