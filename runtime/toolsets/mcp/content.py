"""MCP content: turns names, schemas and answers of an MCP server into those of a model's tools.

Pure functions. Images, sound and binary resources are described, never passed on, because models get text here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from typing import Any, Final, assert_never

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
)

from ...text import encodable
from ..base import ToolAnswer
from .intake import note_of

__all__ = ["answer_of", "arguments_for", "schema_of", "tool_name"]

_LONGEST_NAME: Final = 64
"""Characters that the model providers take."""


def tool_name(prefix: str, name: str, taken: Container[str]) -> str:
    """Return a name that every provider takes: letters, digits, `_` and `-`, at most 64; not one of those taken."""
    full = re.sub(r"[^A-Za-z0-9_-]", "_", f"{prefix}_{name}" if prefix else name) or "tool"
    candidate, number = full[:_LONGEST_NAME], 1
    while candidate in taken:
        number += 1
        ending = f"_{number}"
        candidate = full[: _LONGEST_NAME - len(ending)] + ending
    return candidate


def schema_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool's JSON schema as providers want it: of an object, with `properties`, without `$schema`."""
    schema = {key: value for key, value in given.items() if key != "$schema"}
    schema["type"] = "object"
    if not isinstance(schema.get("properties"), dict):
        schema["properties"] = {}
    return schema


def arguments_for(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments without the nulls that models send for "not given", where the schema has no place for null."""
    properties = schema["properties"]
    given = {
        name: value
        for name, value in arguments.items()
        if value is not None or (name in properties and "null" in json.dumps(properties[name]))
    }
    # JSON can hold half characters, which nothing behind it can.
    sendable: dict[str, Any] = json.loads(encodable(json.dumps(given, ensure_ascii=False)))
    return sendable


def answer_of(result: CallToolResult) -> ToolAnswer:
    """Return a server's answer as a model reads it."""
    parts = [_text_of(block) for block in result.content]
    if not any(isinstance(block, TextContent | EmbeddedResource) for block in result.content):
        # Structured content has a twin in the text, save where a server leaves that out.
        structured = result.structured_content
        parts += [json.dumps(structured, ensure_ascii=False)] if structured is not None else []
    text = "\n\n".join(part for part in parts if part)
    if not text:
        text = "The tool failed and did not say why." if result.is_error else "(no output)"
    if note := note_of(result.meta):
        text = f"{text}\n\n{note}"
    return ToolAnswer(text, result.structured_content, is_error=bool(result.is_error))


def _text_of(block: ContentBlock) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent() | AudioContent():
            kind = "An image" if isinstance(block, ImageContent) else "A sound"
            return f"[{kind} ({block.mime_type}, {_size(block.data):,} bytes), which cannot be shown here.]"
        case ResourceLink():
            told = f": {block.description}" if block.description else "."
            return f"[A resource, {block.title or block.name}, is at {block.uri}{told}]"
        case EmbeddedResource():
            resource = block.resource
            if isinstance(resource, BlobResourceContents):
                kind = resource.mime_type or "binary data"
                return f"[The resource {resource.uri} ({kind}, {_size(resource.blob):,} bytes), which is not text.]"
            return f"[The resource {resource.uri}:]\n{resource.text}"
        case _:
            assert_never(block)


def _size(base64: str) -> int:
    """Return the number of bytes that base64 text stands for."""
    return len(base64) * 3 // 4 - base64[-2:].count("=")
