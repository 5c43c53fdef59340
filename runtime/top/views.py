"""Views: everything about one task as text, a page each, from what `watching.details` tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ..tasks.views import TERMINAL
from ..terminal.control_sequences import clean
from ..watching.model import RunSeen, TaskSeen
from .words import MARKS, date, plural, short_id, words

__all__ = ["CONVERSATION", "OUTPUT", "PAGES", "VIEWS", "conversation"]

OUTPUT: Final = "Output"
CONVERSATION: Final = "Conversation"

_MOST_FAILURES: Final = 500
_MOST_ITEMS: Final = 10
_UNITS: Final = ("turns", "tokens", "cost", "seconds")


def conversation(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return messages as text: who says what, and which tools are called with what."""
    parts = []
    for message in messages:
        head = f"── {words(message['role'], 40) or 'message'} {message['number']}"
        calls = [f"→ {words(call['name'], 100)} {clean(call['arguments'])}" for call in message["calls"]]
        parts.append("\n".join(filter(None, [head, clean(message["text"]), *calls])))
    return "".join(f"{part}\n\n" for part in parts)


def _result(task: Mapping[str, Any], items: list[TaskSeen], run: RunSeen | None) -> str:
    del run
    if task["result"] is not None:
        text = clean(task["result"])
    else:
        text = "There is no result." if task["status"] in TERMINAL else "It has not ended yet."
    return _joined(text, _failures(items), _traceback(task))


def _attempts(task: Mapping[str, Any], items: list[TaskSeen], run: RunSeen | None) -> str:
    del items, run
    rows = [
        f"{each['attempt'] or '':>3}  {date(each['at'])}  {MARKS.get(each['status'], '·')} {each['status']:10} "
        f"{words(each['reason'], 2000)}".rstrip()
        for each in task["attempts_made"]
    ]
    return _joined("\n".join(rows) or "Nothing is known of them.", _traceback(task))


def _log(task: Mapping[str, Any], items: list[TaskSeen], run: RunSeen | None) -> str:
    del items, run
    return f"What its processes wrote past Python: {clean(task['log'])}\n\n{clean(task['log_tail']) or '(nothing)'}"


def _details(task: Mapping[str, Any], items: list[TaskSeen], run: RunSeen | None) -> str:
    budget = task["budget"] or {}
    facts = {
        "Id": task["id"],
        "Started by": task["parent"],
        "Group": task["group"],
        "Continues": task["continues"],
        "Queued": date(task["queued_at"]),
        "Started": date(task["started_at"]),
        "Ended": date(task["ended_at"]),
        "Node": task["node"],
        "Process": task["pid"],
        "Works in": task["workdir"] or (run.working_dir if run is not None else ""),
        "Run": run.path if run is not None else task["run"],
        "Host": f"process {task['host_pid']}" if task["host_pid"] else "gone",
        "Team": run.team if run is not None else "",
        "Requests": task["usage"]["requests"] or None,
        "Budget": ", ".join(
            f"{unit}: {budget['left'][unit]} of {budget[unit]} left" for unit in _UNITS if budget.get(unit) is not None
        ),
        "Warning": task["warning"],
        "Continue it": f"subactors resume {short_id(task['id'])}" if task.get("resumable") else "",
    }
    lines = [f"{name:12}{words(str(value), 2000)}" for name, value in facts.items() if value not in (None, "")]
    asked = f"Asked:\n{clean(task['task'])}"
    return _joined("\n".join(lines), asked, _items(task, items), _failures(items), _traceback(task))


def _items(task: Mapping[str, Any], items: list[TaskSeen]) -> str:
    """Return how many items a group has, and the first of them."""
    if not items:
        return ""
    total = max(len(items), int((task["progress"] or {}).get("total") or 0))
    lines = [f"  {words(item.agent, 60)} {short_id(item.id)}: {words(item.task, 120)}" for item in items[:_MOST_ITEMS]]
    more = [f"  and {total - len(lines):,} more"] if total > len(lines) else []
    return "\n".join([f"{plural(total, 'item')}:", *lines, *more])


def _failures(items: list[TaskSeen]) -> str:
    """Return which items of a group have failed, and why."""
    failed = [item for item in items if item.ended and item.status != "completed"]
    if not failed:
        return ""
    lines = [
        f"  {words(item.agent, 60)} {short_id(item.id)} {item.status}: {words(item.reason)} · {words(item.task, 99)}"
        for item in failed[:_MOST_FAILURES]
    ]
    return "\n".join([f"{plural(len(failed), 'failure')} of {plural(len(items), 'item')}:", *lines])


def _traceback(task: Mapping[str, Any]) -> str:
    return f"Traceback:\n{clean(task['traceback'])}" if task["traceback"] else ""


def _joined(*parts: str) -> str:
    return "\n\n".join(filter(None, parts))


PAGES: Final[Mapping[str, Callable[[Mapping[str, Any], list[TaskSeen], RunSeen | None], str]]] = {
    "Result": _result,
    "Attempts": _attempts,
    "Log": _log,
    "Details": _details,
}
"""Views that are made of a task's details, the items of it if it is a group, and its run."""

VIEWS: Final = (OUTPUT, CONVERSATION, *PAGES)
"""All views, in their order."""
