"""What servers are sent of a conversation, checked by rules as strict as those of any server that is known."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
from strict_server_rules import check, roles
from subactors.runtime.models.base import Message
from subactors.runtime.models.sendable import Server, for_function, sendable
from subactors.runtime.team.config import ModelConfig


def server(provider: str = "acme", name: str = "large", base_url: str = "http://127.0.0.1:1/v1") -> Server:
    return Server.of(ModelConfig(reference="m", provider=provider, name=name, base_url=base_url))


def sent_to(messages: Sequence[Message], receiver: Server) -> list[Message]:
    return sendable(messages, receiver, has_tools=True)


ACME = server()
MISTRAL = server("mistral", "mistral-large-latest")


def system(content: str) -> Message:
    return {"role": "system", "content": content}


def user(content: Any) -> Message:
    return {"role": "user", "content": content}


def call(name: str = "look", arguments: str = "{}", call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def assistant(content: str | None, *calls: dict[str, Any], by: Server | None = None, **opaque: Any) -> Message:
    message: Message = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = list(calls)
    if opaque:
        message["opaque"] = opaque
    return message | {"provider": by.identity} if by is not None else message


def tool(content: str, call_id: str = "call_1") -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


NAMES = [
    "look",
    "",
    " ",
    "functions.look",
    "look at",
    "<|x|>",
    "x" * 200,
    "ünï",
    "look<|channel|>json",
    "a.b/c",
    "\ud800",
]
ARGUMENTS = ["{}", "", '{"word": "mi', "[]", "null", '{"x": NaN}', '{"x": "\\ud800"}', '{"x": 1}', "[" * 100_000]
CONTENTS = [None, "", " \n", "words", "more words\n"]


def any_conversation(dice: random.Random, own: Server) -> list[Message]:
    """Return a conversation of any shape, sound or not."""
    messages: list[Message] = []
    for turn in range(dice.randrange(8)):
        kind = dice.choice("suaCCC")
        content = dice.choice(CONTENTS)
        if kind in "su":
            messages.append(system(content or "") if kind == "s" else user(content))
            continue
        by = dice.choice([own, own, server("other"), None])
        ids = [dice.choice(["call_1", "", f"chatcmpl-tool-{turn}", "a1b2c3d4e"]) for _ in range(dice.randrange(1, 4))]
        if by is own:
            ids = [f"own_{turn}_{number}" for number in range(len(ids))]
        calls = [call(dice.choice(NAMES), dice.choice(ARGUMENTS), call_id) for call_id in ids] if kind == "C" else []
        opaque = {"reasoning_content": "hm"} if dice.random() < 0.3 else {}
        messages.append(assistant(content, *calls, by=by, **opaque))
        answers = [tool(dice.choice(CONTENTS) or "", made["id"]) for made in calls if dice.random() < 0.9]
        if dice.random() < 0.1:
            answers.insert(0, user("in between"))
        messages += answers
    if dice.random() < 0.1:
        messages.append(tool("of nobody", "nobody"))
    return messages


@pytest.mark.parametrize("receiver", [ACME, MISTRAL, server("deepseek"), server("vllm", "Mixtral-8x7B")])
def test_whatever_came_the_strictest_server_takes_what_is_sent(receiver: Server) -> None:
    for seed in range(500):
        messages = any_conversation(random.Random(seed), receiver)  # noqa: S311 - cases, not secrets
        kept = json.dumps(messages)
        sent = sent_to(messages, receiver)
        check(sent, short_ids=receiver.is_mistral)
        assert json.dumps(messages) == kept
        assert sent_to(json.loads(kept), receiver) == sent
        without = sendable(messages, receiver, has_tools=False)
        check(without, short_ids=receiver.is_mistral)
        assert re.fullmatch("s?u(au)*", roles(without))


def test_a_conversation_that_grows_keeps_its_beginning() -> None:
    messages = [system("s"), user("go")]
    earlier = sent_to(messages, MISTRAL)
    for turn in range(20):
        by = MISTRAL if turn % 3 else ACME
        messages += [assistant(None, call("look at", "", "call_1"), by=by), tool("x"), *([user("hm")] * (turn % 2))]
        later = sent_to(messages, MISTRAL)
        assert later[: len(earlier)] == earlier
        earlier = later


def test_a_sound_conversation_is_sent_as_it_is() -> None:
    messages = [system("s"), user("u"), assistant("a", call(call_id="ab12cd34e")), tool("t", "ab12cd34e")]

    assert sent_to(messages, ACME) == messages


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        ([system("a"), system("b"), user("u")], "su"),
        ([system("a"), user("u"), system("b")], "su"),
        ([system(" "), user("u")], "u"),
        ([system("a")], "su"),
        ([user("u"), user("v")], "u"),
        ([user("u"), assistant(""), user("v")], "u"),
        ([user("u"), assistant("a")], "uau"),
        ([user("u"), assistant("a"), assistant("b"), user("v")], "uauau"),
        ([assistant("a"), user("u")], "uau"),
        ([user("u"), assistant(None, call()), tool("t"), user("v")], "uCtau"),
        ([user("u"), assistant(None, call()), user("v"), tool("t")], "uCtau"),
        ([user("u"), assistant(None, call())], "uCt"),
        ([user("u"), assistant(None, call()), tool("t"), tool("of nobody", "x")], "uCt"),
        ([user("u"), assistant(None, call()), tool("t"), assistant(None, call()), tool("t")], "uCtCt"),
        ([], "u"),
    ],
)
def test_roles_alternate_as_strict_templates_want(messages: list[Message], sent: str) -> None:
    assert roles(sent_to(messages, ACME)) == sent


def test_texts_of_one_role_are_joined_as_paragraphs_in_their_order() -> None:
    sent = sent_to([system("a"), system("b"), user("c"), system("d"), user("e")], ACME)

    assert [message["content"] for message in sent] == ["a\n\nb", "c\n\nd\n\ne"]


def test_a_content_of_parts_is_joined_with_a_text() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}

    [sent] = sent_to([user("a"), user([picture])], ACME)

    assert sent["content"] == [{"type": "text", "text": "a"}, picture]


def test_the_answer_of_a_call_that_was_cut_off_says_so() -> None:
    sent = sent_to([user("u"), assistant(None, call())], ACME)

    assert "cut off" in sent[-1]["content"]


def test_text_and_calls_of_another_model_come_apart_for_mistral() -> None:
    turn = [assistant("words", call(), by=MISTRAL), tool("t")]

    own = sent_to([user("u"), *turn], MISTRAL)
    others = sent_to([user("u"), *turn], server("mistral", "mistral-small"))

    assert roles(own) == "uCt"
    assert roles(others) == "uauCt"
    assert [others[1]["content"], others[3]["content"]] == ["words", None]


def test_calls_become_text_where_no_tools_are_offered() -> None:
    """Anthropic's servers refuse calls in a request without tools; a model may make one up all the same."""
    messages = [
        user("u"),
        assistant("Hm.", call("lo ok", '{"x": 1}'), by=ACME),
        tool("There is no tool."),
        assistant("a"),
    ]

    sent = sendable(messages, ACME, has_tools=False)

    assert [(message["role"], message["content"]) for message in sent[:3]] == [
        ("user", "u"),
        ("assistant", 'Hm.\n\n[I called lo_ok with {"x": 1}]'),
        ("user", "[lo_ok answered: There is no tool.]"),
    ]
    assert not any("tool_calls" in message for message in sent)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "reasoning_details"])
def test_what_is_opaque_goes_back_to_the_server_it_came_from(key: str) -> None:
    value = [{"type": "reasoning.encrypted", "data": "abc"}] if key == "reasoning_details" else "I think."
    messages = [user("u"), assistant(None, call(extra_content={"google": 1}), by=ACME, **{key: value}), tool("t")]

    [_, sent, _] = sent_to(messages, ACME)

    assert sent[key] == value
    assert sent["tool_calls"][0]["extra_content"] == {"google": 1}
    assert sent.keys() == {"role", "content", "tool_calls", key}


@pytest.mark.parametrize(
    "other",
    [server("else"), server(name="small"), server(base_url="http://127.0.0.1:2/v1"), MISTRAL],
    ids=["another provider", "another model", "another address", "all of it"],
)
def test_what_is_opaque_goes_to_no_other_server(other: Server) -> None:
    made = call(extra_content={"google": 1})
    messages = [user("u"), assistant(None, made, by=ACME, reasoning="r", reasoning_content="c"), tool("t")]

    assert sent_to(messages, other)[1].keys() == {"role", "content", "tool_calls"}
    assert sent_to(messages, other)[1]["tool_calls"][0].keys() == {"id", "type", "function"}


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("property 'reasoning_content' is unsupported", {"reasoning_content"}),
        ("Extra inputs are not permitted, field: 'messages[8].reasoning', value: 'x'", {"reasoning"}),
        (
            '{"type": "extra_forbidden", "loc": ["messages", 2, "assistant", "reasoning_content"]}',
            {"reasoning_content"},
        ),
        ("Unrecognized request argument supplied: extra_content", {"extra_content"}),
        ("The `reasoning_content` in the thinking mode must be passed back to the API.", set()),
        ("reasoning_content is missing in assistant tool call message at index 2", set()),
        ("extra_content.google.thought_signature is missing", set()),
        ("reasoning_details is not supported", set()),
        ("Unsupported parameter: max_tokens", set()),
    ],
)
def test_the_opaque_fields_are_known_that_a_server_does_not_take_back(words: str, refused: set[str]) -> None:
    made = call(extra_content={"google": 1})
    messages = [user("u"), assistant(None, made, by=ACME, reasoning="r", reasoning_content="c"), tool("t")]

    learned = ACME.learned(words, sent_to(messages, ACME))

    assert (learned.refused if learned is not None else set()) == refused
    less = sent_to(messages, learned or ACME)
    assert refused.isdisjoint({*less[1], *less[1]["tool_calls"][0]})
    assert len({*less[1], *less[1]["tool_calls"][0]}) == 9 - len(refused)


def test_several_calls_come_one_by_one_where_a_chat_template_takes_no_more() -> None:
    made = [call(call_id="abc"), call(call_id="def"), call(call_id="ghi")]
    messages = [
        user("u"),
        assistant("a", *made, by=ACME, reasoning="r"),
        tool("1", "abc"),
        tool("2", "def"),
        tool("3", "ghi"),
    ]

    learned = ACME.learned("This model only supports single tool-calls at once!", sent_to(messages, ACME))

    assert learned is not None
    sent = sent_to(messages, learned)
    check(sent, short_ids=False)
    assert roles(sent) == "uCtCtCt"
    assert [message["content"] for message in sent] == ["u", "a", "1", None, "2", None, "3"]
    assert [message.get("reasoning") for message in sent if message["role"] == "assistant"] == ["r", None, None]


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ("System role not supported", "uCt"),
        ("Only user, assistant and tool roles are supported, got system.", "uCt"),
        ("system messages are not allowed", "uCt"),
        ("Conversation roles must alternate user/assistant/user/assistant/...", "suau"),
        ("Only user and assistant roles are supported!", "suau"),
        ("System message must be at the beginning.", "suCt"),
        ("rate limit", "suCt"),
    ],
)
def test_what_a_chat_template_knows_is_learned_from_its_refusal(words: str, sent: str) -> None:
    messages = [system("s"), user("u"), assistant(None, call()), tool("t")]

    learned = ACME.learned(words, sent_to(messages, ACME)) or ACME

    assert roles(sent_to(messages, learned)) == sent
    assert learned.learned("out of memory", sent_to(messages, learned)) is None


def test_what_is_opaque_goes_to_no_function() -> None:
    messages = [
        user(""),
        assistant(None, call(" x", "{", extra_content={"google": 1}), by=ACME, reasoning="r"),
        tool(""),
    ]

    assert for_function(messages) == [user(""), assistant(None, call(" x", "{}")), tool("")]


def test_a_server_that_wants_reasoning_gets_some_with_the_turns_of_others() -> None:
    other = assistant(None, call(), by=ACME), tool("t")
    deepseek = server("deepseek")
    own = assistant(None, call(), by=deepseek, reasoning_content="mine"), tool("t")

    sent = sent_to([user("u"), *other, *own, *other], deepseek)

    assert [message.get("reasoning_content") for message in sent if roles([message]) == "C"] == [" ", "mine", " "]


def test_a_server_of_any_name_that_has_shown_its_reasoning_gets_some_with_the_turns_of_others() -> None:
    own = assistant(None, call(), by=ACME, reasoning_content="mine"), tool("t")

    sent = sent_to([user("u"), *own, assistant(None, call(), by=MISTRAL), tool("t")], ACME)

    assert [message.get("reasoning_content") for message in sent if roles([message]) == "C"] == ["mine", " "]


def test_no_reasoning_is_made_up_for_a_model_that_shows_none() -> None:
    deepseek = server("deepseek")

    sent = sent_to([user("u"), assistant(None, call(), by=deepseek), tool("t")], deepseek)

    assert "reasoning_content" not in sent[1]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("gemini-3-pro-preview", True), ("gemini-pro-latest", True), ("gemini-2.5-flash", False), ("gemma-3", False)],
)
def test_gemini_gets_its_word_for_a_missing_signature_with_the_first_call_of_another_model(
    name: str, wanted: bool
) -> None:
    gemini = server("google", name)
    signed = {"google": {"thought_signature": "abc"}}
    own = assistant(None, call(call_id="g", extra_content=signed), call(call_id="h"), by=gemini)
    other = assistant(None, call(call_id="a"), call(call_id="b"), by=ACME)
    messages = [user("u"), own, tool("t", "g"), tool("t", "h"), other, tool("t", "a"), tool("t", "b")]

    _, sent_own, _, _, sent_other, *_ = sent_to(messages, gemini)

    assert [made.get("extra_content") for made in sent_own["tool_calls"]] == [signed, None]
    first, second = (made.get("extra_content") for made in sent_other["tool_calls"])
    assert (first == {"google": {"thought_signature": "skip_thought_signature_validator"}}) == wanted
    assert second is None


def test_the_servers_own_call_ids_stay_as_they_came() -> None:
    messages = [user("u"), assistant(None, call(call_id="functions.look:0"), by=ACME), tool("t", "functions.look:0")]

    assert sent_to(messages, ACME) == [user("u"), assistant(None, call(call_id="functions.look:0")), messages[2]]


def test_an_id_that_came_twice_is_sent_once() -> None:
    turn = [assistant(None, call(), by=ACME), tool("t")]

    sent = sent_to([user("u"), *turn, *turn, *turn], ACME)

    ids = [message["tool_calls"][0]["id"] for message in sent if roles([message]) == "C"]
    assert len(set(ids)) == 3
    assert ids[0] == "call_1"
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == ids


@pytest.mark.parametrize(
    "name", ["mistral-small", "Devstral-Small-2", "mistralai/Ministral-8B", "mixtral:8x7b", "pixtral"]
)
def test_models_of_mistral_get_short_ids_whoever_serves_them(name: str) -> None:
    vllm = server("vllm", name)
    own = [
        user("u"),
        assistant(None, call(call_id="chatcmpl-tool-0123456789abcdef"), by=vllm),
        tool("t", "chatcmpl-tool-0123456789abcdef"),
    ]

    check(sent_to(own, vllm), short_ids=True)


def test_a_password_in_an_address_is_not_in_the_conversation() -> None:
    assert "s3cret" not in server(base_url="https://gateway.example/s3cret/v1").identity
