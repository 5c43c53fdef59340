"""JSON schemas: of what each command prints with `--json`, made from the types that are printed.

Each is the schema of one line. Every key is always there, but some of a report's, and there are no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, get_args

import msgspec

from ..runs.output import CUT, LAST
from ..tasks import events, nodes, questions, talk, views
from ..tasks.events import Event

__all__ = ["SCHEMAS", "schema_of"]

_NULLS: Final = {"started_at", "continues"}
"""Keys of a task whose values are null in JSON where Python has an empty text."""

_TIMES: Final = ("time", "deadline")
"""Keys of times, beside those that end with `_at`."""

_OUTPUT: Final = (
    f"Its last lines, of {LAST} bytes together at most, or the end of a longer line, behind `{CUT}`. In `view` all "
    "that it has said, head and tail beyond the bound."
)

_DEFS: Final = "#/$defs/{name}"

_RUN: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "run": ({"type": "string"}, "The folder of the run."),
    "host_pid": ({"type": ["integer", "null"]}, "Process id of the host; null if it is gone."),
}

_OF_A_RUN: Final[dict[str, tuple[dict[str, Any], str]]] = {
    **_RUN,
    "started_at": ({"type": ["string", "null"]}, "When it started; null if nobody knows."),
    "ended_at": ({"type": ["string", "null"]}, "When it was last heard of; null while its host lives."),
    "command": ({"type": "string"}, "The program that was, or is, the host."),
    "team": ({"type": "string"}, "The team file, or what else the team was made of."),
    "working_dir": ({"type": "string"}, "Where its agents worked."),
    "tasks": (
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
        "How many tasks have each status.",
    ),
    "open_ends": ({"type": "array", "items": {"$ref": "#/$defs/OpenEnd"}}, "Tasks that can be continued."),
    "damage": ({"type": "string"}, "Why it cannot be read; empty if it can."),
}

_OF_A_PRUNED_RUN: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "run": _RUN["run"],
    "removed": ({"type": "boolean"}, "Whether it was removed."),
    "tasks_removed": ({"type": "integer", "minimum": 0}, "How many tasks went with it."),
    "reason": ({"type": "string"}, "Why it was kept; empty if it was removed."),
}


_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": {"type": "string"}}


def schema_of(command: str) -> dict[str, Any]:
    """Return the schema of a line that a command prints with `--json`; `command` is one of `SCHEMAS`."""
    title = f"A line of `subactors {command} --json`"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    match SCHEMAS[command]:
        case "task":
            return {**head, "$ref": "#/$defs/Task", "$defs": _definitions()}
        case "event":
            kinds = [{"$ref": f"#/$defs/{name}"} for name in (*_EVENTS, *_OF_THE_ROOT)]
            return {**head, "anyOf": kinds, "$defs": _definitions()}
        case "run":
            task = _definitions()["Task"]["properties"]
            end = {key: task[key] for key in ("id", "agent", "status", "reason", "task")}
            return {**head, **_object(_OF_A_RUN), "$defs": {"OpenEnd": _closed({"properties": end})}}
        case "node":
            _, found = msgspec.json.schema_components([nodes.NodeView], ref_template=_DEFS)
            node = _described("NodeView", found["NodeView"], (nodes,))
            return {**head, **_closed({**node, "properties": {**node["properties"], **_object(_RUN)["properties"]}})}
        case "report":
            return {**head, "$ref": "#/$defs/Report", "$defs": _of_a_report()}
        case "look" | "finding" as what:
            return {**head, **({"anyOf": _of_a_check()} if what == "look" else _of_a_finding())}
        case "receipt" | "answer":
            kind = talk.SteerReceipt if SCHEMAS[command] == "receipt" else questions.QuestionSettled
            _, found = msgspec.json.schema_components([kind], ref_template=_DEFS)
            return {
                **head,
                **_described(kind.__name__, found[kind.__name__], (talk, questions)),
                "title": head["title"],
            }
        case _:
            return {**head, **_object(_OF_A_PRUNED_RUN)}


SCHEMAS: Final = {
    **dict.fromkeys(("ps", "view", "wait", "stop"), "task"),
    **dict.fromkeys(("run", "dispatch", "resume", "demo", "view --follow"), "event"),
    "runs": "run",
    "nodes": "node",
    "drain": "node",
    "prune": "pruned run",
    "bench": "report",
    "check": "look",
    "doctor": "finding",
    "tell": "receipt",
    "answer": "answer",
}
"""What a line of each command is about."""

_EVENTS: Final = [kind.__name__ for kind in get_args(Event)]

_OF_THE_ROOT: Final = ("RootText", "RootAnswered", "RootFailed")
"""Events of the root of a run alone."""


def _definitions() -> dict[str, Any]:
    """Return the schemas of a task, of all events and of what they are made of."""
    _, found = msgspec.json.schema_components([views.TaskView, *get_args(Event)], ref_template=_DEFS)
    described = {name: _described(name, schema, (views, events, questions)) for name, schema in found.items()}
    task = described.pop("TaskView")
    properties = {("result" if key == "result_json" else key): value for key, value in task["properties"].items()}
    properties["result"] = {"description": "Its final answer: text, or plain data; null while there is none."}
    properties["output"] = {**properties["output"], "description": _OUTPUT}
    for key in _NULLS:
        text = properties[key]["description"].replace("empty", "null").replace("Empty", "Null")
        properties[key] = {**properties[key], "type": ["string", "null"], "description": text}
    described["Task"] = _closed({**task, "title": "Task", "properties": {**properties, **_object(_RUN)["properties"]}})
    output = described["TaskOutput"]["properties"]
    agent = {"agent": properties["agent"]}
    common = {key: output[key] for key in ("time", "cursor", "task_id")}
    described["RootText"] = _event("text", {**output, **agent}, "What the root of a run says.")
    text = {"text": {"type": "string", "description": "Its answer, as text."}}
    described["RootAnswered"] = _event("answer", {**common, **agent, **text}, "The answer of a run; its last event.")
    why = {"reason": {"type": "string", "description": "Why there is no answer."}}
    described["RootFailed"] = _event("failed", {**common, **agent, **why}, "A run without an answer; its last event.")
    return {name: _renamed(schema) for name, schema in described.items()}


def _of_a_report() -> dict[str, Any]:
    """Return the schemas of a benchmark's report and of what it is made of."""
    from ..bench import report, work  # noqa: PLC0415 - it brings much

    _, found = msgspec.json.schema_components([report.Report], ref_template=_DEFS)
    return {name: _described(name, schema, (report, work)) for name, schema in found.items()}


def _of_a_check() -> list[dict[str, Any]]:
    """Return the schemas of the lines of `check`, one for each kind."""
    from .check import Verdict  # noqa: PLC0415 - it brings what looks at agents

    kinds: dict[str, dict[str, tuple[dict[str, Any], str]]] = {
        "problem": {
            "source": (_TEXT, "The file."),
            "line": ({"type": ["integer", "null"], "minimum": 1}, "The line in it; null for the file as a whole."),
            "path": (_TEXT, "The path of the key, such as `agents.root.model`; empty for the file as a whole."),
            "message": (_TEXT, "What is wrong."),
            "remedy": (_TEXT, "What would be right; empty where the message says it."),
        },
        "agent": {
            "agent": (_TEXT, "Its name."),
            "what": (_TEXT, "What it is made of."),
            "verdict": ({"enum": list(get_args(Verdict))}, "Whether it would run on this machine."),
            "reasons": (_TEXTS, "Why it would not run, or not before there is a key."),
            "notes": (_TEXTS, "What to know of it."),
        },
        "note": {"text": (_TEXT, "What to know of the whole team.")},
        "model": {
            "model": (_TEXT, "A model that was asked (`--ping`)."),
            "answers": ({"type": "boolean"}, "Whether it can be used."),
            "text": (_TEXT, "What there is to say."),
        },
    }
    about = "What the line is about."
    return [_object({"kind": ({"const": kind}, about), **keys}) for kind, keys in kinds.items()]


def _of_a_finding() -> dict[str, Any]:
    """Return the schema of a line of `doctor`."""
    from .means import LEGEND, State  # noqa: PLC0415 - it brings what looks at models

    states = {"enum": list(get_args(State))}
    return _object(
        {
            "what": (_TEXT, "What was looked at."),
            "state": (states, " ".join(LEGEND)),
            "how": (_TEXT, "What was found, and what it is used for."),
        }
    )


def _event(kind: str, properties: Mapping[str, Any], what: str) -> dict[str, Any]:
    return _closed({"description": what, "properties": {**properties, "event": {"const": kind}}})


def _described(name: str, schema: dict[str, Any], modules: Sequence[ModuleType]) -> dict[str, Any]:
    """Return a schema that is closed, with what its class, in one of the modules, says of each key."""
    import docstring_parser  # noqa: PLC0415 - for one command

    kind = next((found for module in modules if (found := getattr(module, name, None))), None)
    if "properties" not in schema:
        return schema
    attributes: dict[str, str] = {}
    about = _sentence(schema.get("description"))
    for each in reversed(kind.__mro__[:-2] if kind is not None else ()):
        parsed = docstring_parser.parse(each.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
        attributes |= {meta.arg_name: _sentence(meta.description) for meta in parsed.params}
        about = _sentence(parsed.description)
    properties = {
        key: {**value, **({"description": text} if (text := attributes.get(key)) else {}), **_format(key, value)}
        for key, value in schema["properties"].items()
    }
    closed = _closed({**schema, "description": about, "properties": properties})
    if kind is not None and kind.__struct_config__.omit_defaults:
        closed["required"] = schema.get("required", [])
    return closed


def _sentence(text: str | None) -> str:
    """Return a sentence of a docstring as readers of JSON know it."""
    flat = " ".join((text or "").partition("Attributes:")[0].split()).replace("None", "null").replace("`list`", "`ps`")
    return flat[:1].upper() + flat[1:]


def _format(key: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a key that of a time; no default is told, as every key is there."""
    is_time = key.endswith("_at") or key in _TIMES
    return {"format": "date-time"} if is_time and "$ref" not in value else {}


def _object(keys: Mapping[str, tuple[dict[str, Any], str]]) -> dict[str, Any]:
    return _closed(
        {
            "properties": {
                key: {**schema, "description": text} | _format(key, schema) for key, (schema, text) in keys.items()
            }
        }
    )


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        key: {name: part for name, part in value.items() if name != "default"}
        for key, value in schema["properties"].items()
    }
    return {
        **schema,
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _renamed(schema: Any) -> Any:
    """Return a schema in which a task is called so."""
    if isinstance(schema, dict):
        return {key: _renamed(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_renamed(value) for value in schema]
    return "#/$defs/Task" if schema == "#/$defs/TaskView" else schema
