"""What the strictest servers refuse of a conversation, as one check for tests."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["check", "roles"]

Message = dict[str, Any]


def roles(messages: Sequence[Message]) -> str:
    """Return the roles, by their first letters; a model's turn with calls is a C."""
    return "".join("C" if message.get("tool_calls") else message["role"][0] for message in messages)


def check(messages: Sequence[Message], *, short_ids: bool) -> None:
    """Refuse what any server refuses: OpenAI, Anthropic, Mistral, DeepSeek, the templates of Qwen and Gemma."""
    assert re.fullmatch(r"s?u((Ct+)*au)*(Ct+)*", roles(messages)), roles(messages)
    ids: set[str] = set()
    expected: list[str] = []
    for message in messages:
        assert message.keys() <= {"role", "content", "tool_calls", "tool_call_id", "reasoning_content", "reasoning"}
        if message["role"] == "tool":
            assert message["tool_call_id"] == expected.pop(0)
        else:
            assert not expected
        assert "tool_calls" not in message or message["tool_calls"]
        assert (message["content"] or "").strip() or message.get("tool_calls")
        for made in message.get("tool_calls", ()):
            assert made.keys() <= {"id", "type", "function", "extra_content"}
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", made["function"]["name"])
            assert isinstance(json.loads(made["function"]["arguments"]), dict)
            assert re.fullmatch(r"[a-zA-Z0-9]{9}" if short_ids else r"[a-zA-Z0-9_-]{1,40}", made["id"])
            assert made["id"] not in ids
            ids.add(made["id"])
            expected.append(made["id"])
    json.dumps(messages, ensure_ascii=False, allow_nan=False).encode()
