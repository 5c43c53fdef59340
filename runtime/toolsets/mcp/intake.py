"""MCP intake: makes what a server sends fit for the `mcp` package, and says where it breaks its word.

The package throws a whole answer away for one field: structured content that does not keep to the schema that the
server declared, a schema that is wrong itself, an unknown kind of content. The model should read the answer all the
same. So declared schemas stay here and never reach the package, and answers are checked here, with a note.

Runs in the event loop of the connection. Requests, and messages that answer none, pass unchanged.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import pydantic
from mcp.shared.message import SessionMessage
from mcp_types import ContentBlock, JSONRPCError, JSONRPCRequest, JSONRPCResponse

from ...text import bounded, one_line

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream, TransportStreams, WriteStream

__all__ = ["Intake", "note_of"]

_META: Final = "subactors/note"
"""Where in an answer's `_meta` the note stands."""

_READ_OF_A_TOOL: Final = ("name", "title", "description", "inputSchema")
"""All that is used of a tool. A mistake in any other field must not cost the whole list."""

_SHOWN: Final = 300
_SHOWN_BLOCK: Final = 2000
"""Characters: of what is wrong, and of content of an unknown kind."""

_BLOCKS: Final[pydantic.TypeAdapter[Any]] = pydantic.TypeAdapter(ContentBlock)


def note_of(meta: Any) -> str:
    """Return the note on an answer, for its reader; empty if the server kept its word."""
    note = meta.get(_META, "") if isinstance(meta, dict) else ""
    return note if isinstance(note, str) else ""


class Intake:
    """The answers of one connection.

    Args:
        blotted: takes secrets out of text. Called before anything is cut: half a secret is one, too.
    """

    def __init__(self, blotted: Callable[[str], str]) -> None:
        self._blotted = blotted
        self._asked: dict[str, tuple[str, str]] = {}  # id of a request: its method, and the tool that it calls
        self._schemas: dict[str, Any] = {}  # by tool
        self._validators: dict[str, Any] = {}

    @contextlib.asynccontextmanager
    async def over(self, transport: AbstractAsyncContextManager[Any]) -> AsyncIterator[TransportStreams]:
        """Yield the streams of a transport, with the intake in between."""
        async with transport as (reading, writing):
            yield _Reading(reading, self.received), _Writing(writing, self.sent)

    def sent(self, item: SessionMessage) -> None:
        """Note what is asked, to know what the answer answers."""
        message = item.message
        if isinstance(message, JSONRPCRequest) and message.method in {"tools/list", "tools/call"}:
            parameters = message.params or {}
            self._asked[str(message.id)] = (message.method, str(parameters.get("name", "")))

    def received(self, item: SessionMessage | Exception) -> SessionMessage | Exception:
        """Return an item as the package can use it."""
        if not isinstance(item, SessionMessage) or not isinstance(item.message, JSONRPCResponse | JSONRPCError):
            return item
        method, tool = self._asked.pop(str(item.message.id), ("", ""))
        if isinstance(item.message, JSONRPCError):
            return item
        result = item.message.result
        if method == "tools/list":
            result = self._list(result)
        elif method == "tools/call" and result.get("resultType", "complete") == "complete":
            result = self._answer(tool, result)
        return SessionMessage(item.message.model_copy(update={"result": result}), item.metadata)

    def _list(self, result: dict[str, Any]) -> dict[str, Any]:
        """Keep the output schemas, and of each tool what is used."""
        tools = [] if result.get("tools") is None else result["tools"]
        if not isinstance(tools, list):
            return result
        if not isinstance(result.get("nextCursor"), str):
            result = {key: value for key, value in result.items() if key != "nextCursor"}
        offered = []
        for tool in tools:
            if not isinstance(tool, dict) or not isinstance(name := tool.get("name"), str):
                continue
            self._schemas[name] = tool.get("outputSchema")
            self._validators.pop(name, None)
            kept = {key: tool[key] for key in _READ_OF_A_TOOL if tool.get(key) is not None}
            schema = kept.get("inputSchema")
            kept["inputSchema"] = {**(schema if isinstance(schema, dict) else {}), "type": "object"}
            offered.append(kept | {key: str(kept[key]) for key in ("title", "description") if key in kept})
        return {**result, "tools": offered}

    def _answer(self, tool: str, result: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of a tool with content that is content, structured content that keeps its word, a note."""
        content = result.get("content")
        given = [] if content is None else content
        mended = {key: value for key, value in result.items() if key not in {"content", "structuredContent", "_meta"}}
        mended["isError"] = bool(result.get("isError"))
        notes = []
        if not isinstance(given, list):
            mended["isError"] = True
            notes.append("It could not be used as an answer: its `content` is not a list of blocks.")
            given = [given]
        blocks = [self._block(block) for block in given]
        structured = result.get("structuredContent")
        fault = "" if mended["isError"] else self._fault(tool, structured)
        notes += [fault] if fault else []
        # Only newer servers, whose answers have a `resultType`, may send other structured content than an object.
        if structured is not None and not fault and (isinstance(structured, dict) or "resultType" in result):
            mended["structuredContent"] = structured
        elif structured is not None and not any(block["type"] in {"text", "resource"} for block in blocks):
            blocks.append(_text(json.dumps(structured, ensure_ascii=False)))
        if notes:
            mended["_meta"] = {_META: f"[Note on this answer of the MCP server: {' '.join(notes)}]"}
        return {**mended, "content": blocks}

    def _block(self, block: Any) -> dict[str, Any]:
        """Return a block of content as it is, without what nobody reads; or as text, if it is of no known kind."""
        if isinstance(block, str):
            return _text(block)
        if isinstance(block, dict):
            known = {key: value for key, value in block.items() if key not in {"annotations", "_meta", "icons"}}
            with contextlib.suppress(ValueError, RecursionError):
                _BLOCKS.validate_python(known, by_name=False)
                return known
            if isinstance(said := block.get("text"), str):
                return _text(said)
        shown = self._blotted(json.dumps(block, ensure_ascii=False))
        return _text(f"[Content of a kind that is unknown here: {bounded(shown, _SHOWN_BLOCK)}]")

    def _fault(self, tool: str, structured: Any) -> str:
        """Say how an answer breaks the schema that the server declared for it; empty if it does not."""
        schema = self._schemas.get(tool)
        if schema is None:
            return ""
        if structured is None:
            return "It lacks the structured content that the server has declared a schema for."
        try:
            wrong = next(self._errors(tool, schema, structured), None)
        except Exception as error:  # noqa: BLE001 - a schema is the server's: it may hold anything, and refer to itself
            what = self._blotted(getattr(error, "message", "") or str(error) or type(error).__name__)
            return f"The schema that the server has declared for it cannot be used ({_short(what)})."
        if wrong is None:
            return ""
        what = self._blotted(f"{wrong.json_path}: {wrong.message}")
        return f"Its structured content does not keep to the schema that the server has declared ({_short(what)})."

    def _errors(self, tool: str, schema: Any, structured: Any) -> Iterator[Any]:
        if tool not in self._validators:
            # Only servers that declare schemas cost this import.
            from jsonschema.validators import validator_for  # noqa: PLC0415 - see above
            from referencing import Registry  # noqa: PLC0415 - see above

            kind = validator_for(schema)
            kind.check_schema(schema)
            # With an empty registry nothing is fetched from anywhere: references stay within the schema.
            self._validators[tool] = kind(schema, registry=Registry())
        errors: Iterator[Any] = self._validators[tool].iter_errors(structured)
        return errors


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _short(text: str) -> str:
    return one_line(text, _SHOWN).rstrip(".")


class _Reading:
    """A stream for the package to read from, in place of a transport's."""

    def __init__(
        self,
        stream: ReadStream[SessionMessage | Exception],
        change: Callable[[SessionMessage | Exception], SessionMessage | Exception],
    ) -> None:
        self._stream = stream
        self._change = change

    @property
    def last_context(self) -> Any:
        """The context of whoever sent the last item, where the transport knows it."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        return self._change(await self._stream.receive())

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return self._change(await anext(self._stream))

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stream.__aexit__(kind, error, trace)


class _Writing:
    """A stream for the package to write to, in place of a transport's."""

    def __init__(self, stream: WriteStream[SessionMessage], heard: Callable[[SessionMessage], None]) -> None:
        self._stream = stream
        self._heard = heard

    async def send(self, item: SessionMessage, /) -> None:
        self._heard(item)
        await self._stream.send(item)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stream.__aexit__(kind, error, trace)
