"""Elicitation form: the schema that the user of an MCP host is asked with, and the answer that comes back.

MCP allows one level of fields, each a text, a number, a yes or no, or a choice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..tasks.questions import APPROVAL, Question
from ..tasks.wording import form_text
from ..terminal.control_sequences import visible

__all__ = ["answer_of", "fields_of", "form_of", "message_of"]

_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"title", "description", "minLength", "maxLength", "format", "default", "enum", "enumNames"}),
    "number": frozenset({"title", "description", "minimum", "maximum", "default"}),
    "integer": frozenset({"title", "description", "minimum", "maximum", "default"}),
    "boolean": frozenset({"title", "description", "default"}),
}
"""What a field of each type may say; the rest is checked when the answer is there."""

_FORMATS: Final = frozenset({"email", "uri", "date", "date-time"})


def fields_of(question: Question) -> dict[str, Any] | None:
    """Return the schema that a question brings along, as MCP allows it; None if there is none, or it cannot be that.

    A field that is not flat is left out, unless it is required: then the schema cannot be that.
    """
    if not question.schema:
        return None
    schema = msgspec.json.decode(question.schema)
    found = {name: _field(field) for name, field in schema["properties"].items()}
    fields = {name: field for name, field in found.items() if field is not None}
    required = schema.get("required", [])
    if not fields or not fields.keys() >= {*required}:
        return None
    return {"type": "object", "properties": fields, "required": required}


def _field(field: Any) -> dict[str, Any] | None:
    kind = field.get("type") if isinstance(field, dict) else None
    if not isinstance(kind, str) or kind not in _KEYS:
        return None
    kept = {key: value for key, value in field.items() if key in _KEYS[kind]}
    choices = field.get("enum")
    if choices is not None and not (kind == "string" and choices and all(isinstance(each, str) for each in choices)):
        return None
    if str(kept.get("format")) not in _FORMATS:
        kept.pop("format", None)
    return {"type": kind, **kept}


def form_of(question: Question) -> dict[str, Any]:
    """Return the schema of a question's answer."""
    if (fields := fields_of(question)) is not None:
        return fields
    answer: dict[str, Any] = {"type": "string", "title": "Answer"}
    if question.choices:
        answer["enum"] = question.choices
    if question.default is not None:
        answer["default"] = question.default
    form = {"answer": answer}
    if question.kind == "approval":
        form["reason"] = {"type": "string", "title": "Reason, if you deny"}
    return {"type": "object", "properties": form, "required": ["answer"]}


def answer_of(question: Question, content: Mapping[str, Any]) -> str:
    """Return the answer that a filled form is."""
    if fields_of(question) is not None or (question.schema and content and "answer" not in content):
        return json.dumps(dict(content), ensure_ascii=False)
    word, said = content.get("reason"), str(content.get("answer", ""))
    return f"{said}: {word}" if word and said == APPROVAL[-1] else said


def message_of(question: Question, wrong: str) -> str:
    """Return what the user reads above the form.

    Args:
        question: what is asked.
        wrong: why the last answer does not count, as a sentence; empty if there was none.
    """
    head = f"{wrong}\n\n" if wrong else ""
    hint = "" if fields_of(question) is not None else form_text(question)
    # Each line behind a mark: a question must not look like words of the host, nor like another question.
    asked = f"{visible(question.text)}{hint}".replace("\n", "\n| ")
    return f"{head}{question.agent} ({question.task_id}) asks: {asked}"
