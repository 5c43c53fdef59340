"""Secrets: which values are secret at all, and how texts have them blotted out.

Servers that need no key are given a word for one (`ollama`, `EMPTY`, `not-needed`). To blot such a word out would
garble every text that holds it, and hide nothing. So a value counts as secret only if it could not be guessed.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from typing import Final

__all__ = ["blotted", "is_secret", "names_a_secret"]

_LEAST_LENGTH: Final = 8
"""Characters. Whatever is shorter is not a key, and stands in too many texts."""

_LEAST_BITS: Final = 20.0
"""What it takes to guess a value. A word of a dictionary is below it."""

_LEAST_BITS_OF_SEVERAL: Final = 9.0
"""The same for a value of several parts: as a whole it stands in no ordinary text, so one unusual word is enough."""

_WORD_BITS: Final = 14.0
"""For one word of a dictionary."""

_LONGEST_WORD: Final = 12
"""Letters. A longer run of them is taken for what a machine has made up."""

_SYLLABLE: Final = 3
"""Letters up to which a part is taken for an abbreviation."""

_ABBREVIATION_BITS: Final = 3.0
"""For a letter."""

_SIGN_BITS: Final = 5.0
"""For a sign that joins no words."""

_PLACEHOLDERS: Final = frozenset(
    """
    sk pk ak xx proj lm llm ai id my me no not none nil null any some your our the in for with abc
    key keys api apikey token tokens auth bearer basic
    empty unset unused undefined required needed necessary needs need ignored ignore optional anything whatever
    something nothing here goes put insert enter replace set add changeme fill this that
    dummy fake mock test testing tests example sample demo placeholder default local localhost public free anonymous
    open openai ollama vllm lmstudio studio llama cpp llamacpp localai litellm sglang jan docker model runner server
    text generation webui proxy foo bar baz qux gpt claude gemini qwen mistral gemma deepseek
    anthropic google azure groq dev development prod production staging hello world
    """.split()  # noqa: SIM905 - as a list it would be a page
)
"""Words that people build stand-ins for keys from. They add nothing to what it takes to guess a value."""

_UNUSUAL_SIGN: Final = r"[^\w\-. :/<>\[\]{}()*#]"
"""One that joins no words."""

_DIGITS_IN_ORDER: Final = "01234567890"

_SECRET_NAME: Final = re.compile(
    r"token|secret|passw|credential|auth(?!or)|cookie|api[_-]?key|(^|[^A-Za-z0-9])(key|pat|pwd)$", re.IGNORECASE
)


def names_a_secret(name: str) -> bool:
    """Whether what stands under a name (a variable's, a header's, an option's) is likely to be secret."""
    return _SECRET_NAME.search(name) is not None


def is_secret(value: str) -> bool:
    """Whether a value is to be hidden: it is long enough, and not made of words and digits that anybody would guess."""
    if len(value) < _LEAST_LENGTH:
        return False
    parts = re.findall(r"[^\W_]+", value)
    bits = sum(map(_bits_of_part, parts)) + _SIGN_BITS * len(re.findall(_UNUSUAL_SIGN, value))
    return bits >= (_LEAST_BITS_OF_SEVERAL if len(parts) > 1 else _LEAST_BITS)


def blotted(text: str, secrets: Iterable[str], mark: str) -> str:
    """Return a text with every secret replaced by `mark`: as it is, as JSON writes it, and as addresses do.

    In an address any character may be encoded, none or all of them, and both may be done more than once.

    Args:
        text: anything; cut it afterwards, as a cut could leave half of a secret.
        secrets: values; some may not be secret (`is_secret`), and one may hold another.
        mark: what stands in their place.
    """
    patterns = _patterns(tuple(secrets))
    if patterns is None:
        return text
    plain, in_addresses = patterns
    text = plain.sub(lambda _: mark, text)
    if not any(sign in text for sign in "%\\+"):
        return text  # nothing in it is encoded
    from .decoded import encoded_spans  # noqa: PLC0415 - most texts have no such sign

    for start, end in reversed(encoded_spans(text, in_addresses)):
        text = text[:start] + mark + text[end:]
    return text


@functools.lru_cache(maxsize=64)
def _patterns(secrets: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]] | None:
    """Return what finds those of these values that are secret, plain and decoded; None if none is.

    Kept, because an answer of an MCP server is many texts, and judging a value takes longer than looking for it.
    """
    held = set(filter(is_secret, secrets))
    # In an address a `+` may be a space.
    return (_any_of(held), _any_of({secret.replace("+", " ") for secret in held})) if held else None


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    # The longest first, or of a secret that begins with another one the rest would be left.
    return re.compile("|".join(map(re.escape, sorted(texts, key=lambda text: (-len(text), text)))))


def _bits_of_part(part: str) -> float:
    """Return the bits of letters and digits in a row: words with digits at their end, or what a machine has made."""
    if part.lower() in _PLACEHOLDERS:
        return 0.0
    if found := re.fullmatch(r"([a-z]*(?:[A-Z][a-z]+)*|[A-Z]+)(\d*)", part):
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", found[1])
        if all(map(_is_word, words)):
            return sum(map(_bits_of_word, words)) + _bits_of_digits(found[2])
    return len(part) * math.log2(len(set(part)))


def _is_word(letters: str) -> bool:
    """Whether letters could be a word: short, with vowels, and never many consonants in a row."""
    lower = letters.lower()
    if lower in _PLACEHOLDERS or len(set(lower)) == 1 or len(lower) <= _SYLLABLE:
        return True
    return len(lower) <= _LONGEST_WORD and bool(re.search("[aeiouy]", lower)) and not re.search("[^aeiouy]{5}", lower)


def _bits_of_word(letters: str) -> float:
    lower = letters.lower()
    if lower in _PLACEHOLDERS or len(set(lower)) < min(2, len(lower)):
        return 0.0
    return _ABBREVIATION_BITS * len(lower) if len(lower) <= _SYLLABLE else _WORD_BITS


def _bits_of_digits(digits: str) -> float:
    if digits in _DIGITS_IN_ORDER or len(set(digits)) == 1:
        return 0.0
    return len(digits) * math.log2(10)
