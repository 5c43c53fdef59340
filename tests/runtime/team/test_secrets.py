"""Which values are secret, and that those are blotted out of a text in every form, and no others."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest
from subactors.runtime.models.openai.errors import ModelErrors
from subactors.runtime.team.config import ModelConfig
from subactors.runtime.team.secrets import blotted, is_secret

PLACEHOLDERS = [
    *("ollama", "EMPTY", "x", "none", "sk-no-key-required", "not-needed", "lm-studio", "your-api-key"),
    *("<your-api-key>", "YOUR_API_KEY_HERE", "yourApiKey", "dummy-key", "token-abc123", "sk-12345678", "12345678"),
    *("xxxxxxxxxxxx", "sk-xxxxxxxxxxxxxxxx", "00000000", "whatever", "assistant", "llama.cpp", "docker-model-runner"),
]
SECRETS = [
    *("sk-proj-abcDEF123ghi456", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "8f14e45fceea167a5a36dedd4bea2543"),
    *("xgkq wjzb htnp vrma", "correct-horse-battery-staple", "fkwmvnqpzlaxtrhb", "s3cret-value", "20240193"),
    *("sk-a-very-secret-key", "p@ss:w/rd%1", "geheim4711", "sk-of-a-test"),
]


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_a_word_that_stands_for_a_key_is_no_secret(value: str) -> None:
    assert not is_secret(value)
    assert blotted(f"I said {value}.", [value], "***") == f"I said {value}."


@pytest.mark.parametrize("value", SECRETS)
def test_what_nobody_would_guess_is_a_secret(value: str) -> None:
    assert is_secret(value)
    assert blotted(f"I said {value}.", [value], "***") == "I said ***."


@pytest.mark.parametrize("value", ['a "quoted" \\ secret', "geheim-ü-4711", "p@ss:w/rd%1 +&", "line\nof/secret"])
def test_a_secret_is_blotted_out_as_json_and_addresses_write_it(value: str) -> None:
    forms = [value, json.dumps(value), json.dumps(value, ensure_ascii=False), quote(value), quote_plus(value)]
    forms += [quote(value, safe=""), quote(value, safe="").replace("%C3%BC", "%c3%bc")]
    for form in forms:
        assert blotted(f"<{form}>", [value], "***").strip('<">') == "***"


def in_hex(value: str) -> str:
    return "".join(f"%{byte:02x}" for byte in value.encode())


@pytest.mark.parametrize("value", ["sk-4711-abcdef-08", "p@ss!(w0rd)*'~4711", "geheim ü/4711", "ge\U0001f511im+4711"])
def test_a_secret_is_blotted_out_however_much_of_it_an_address_encodes(value: str) -> None:
    in_javascript = quote(value, safe="!'()*~")  # encodeURIComponent
    forms = [in_hex(value), in_hex(value).upper(), in_javascript, quote(in_javascript, safe="")]
    forms += [in_hex(in_hex(value)), json.dumps(f"https://x/{quote(value)}/").strip('"')[10:-1]]
    forms += [in_hex(value[:5]) + value[5:], value.replace("4711", "%34%37%31%31"), quote_plus(value, safe="/")]
    for form in forms:
        assert blotted(f"<{form}>%", [value], "***") == "<***>%"


def test_a_secret_is_blotted_out_in_json_that_stands_in_json() -> None:
    value = 'a "quoted" \\ secret/ü\U0001f511\n'
    once = json.dumps({"text": value})
    for text in (once, json.dumps(once), json.dumps([json.dumps(once)]), once.replace("/", "\\/")):
        assert "quoted" not in blotted(text, [value], "***")


def test_what_only_looks_like_an_encoded_secret_stays() -> None:
    text = "100% of sk-4711-abcdef+0815 \\u0073k"
    assert blotted(text, ["sk-4711-abcdef-0815"], "***") == text


def test_of_two_secrets_one_of_which_holds_the_other_nothing_is_left() -> None:
    long, short = "sk-4711-abcdef-0815", "sk-4711-abc"
    for secrets in ([long, short], [short, long]):
        assert blotted(f"{long} {short}", secrets, "*") == "* *"


def test_a_mark_may_hold_what_is_special_in_patterns() -> None:
    assert blotted("geheim4711", ["geheim4711"], r"\1 \g<0>") == r"\1 \g<0>"


@pytest.mark.parametrize("key", ["ollama", "EMPTY", "not-needed", "sk-no-key-required"])
def test_a_message_about_a_model_is_not_garbled_by_a_key_that_is_a_word(key: str) -> None:
    errors = ModelErrors(ModelConfig(reference="m", provider="ollama", name="m"), key, 1.0)
    assert str(errors.error(f"the server {key} is away")) == f"Model 'm': the server {key} is away"


def test_a_message_about_a_model_does_not_show_its_key() -> None:
    errors = ModelErrors(ModelConfig(reference="m", provider="x", name="m"), "sk-a/very+secret", 1.0)
    assert str(errors.error("sk-a/very+secret sk-a%2Fvery%2Bsecret")) == "Model 'm': [key] [key]"


def test_it_takes_no_time_to_judge_a_long_value() -> None:
    value = "a" * 5000 + "B" + "a" * 5000 + "1b"
    assert is_secret(value)
    assert blotted(f"100%: {value}", [value], "***") == "100%: ***"
