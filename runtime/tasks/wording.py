"""Wording: tasks in words, for a model and for a person at a pipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from ...actors.regular_files import is_regular
from ..models.base import Usage
from ..text import bounded, duration, head_and_tail, one_line
from .questions import Question
from .views import Budget, ProcessSeen, Progress, Silence, TaskBudget, TaskList, TaskView, Vitals

__all__ = [
    "budget_left_text",
    "budget_text",
    "describe_list",
    "describe_stop",
    "describe_view",
    "dollars",
    "form_text",
    "progress_text",
    "question_lines",
    "question_text",
    "result_line",
    "result_text",
    "said_before",
    "silence_text",
    "size",
    "usage_text",
    "working_directory",
]

_TASK_IN_LIST = 120
_QUESTION = 2000
_TASK_IN_VIEW = 1000
_TRACEBACK_IN_VIEW = 4000
_SILENCE_IN_VIEW = 6000

_NO_COINCIDENCE = 16
"""Characters of an answer from which on it is not at the end of the output by chance."""

_JUST_NOW = 2.0
"""Seconds for which a stack is as good as one of this moment."""

_BUSY = 10
"""Per cent of a core from which a silent task counts as busy."""


def describe_list(tasks: TaskList, *, may_answer: bool = True) -> str:
    """Return a list of tasks, one paragraph each, under a line on the room there is.

    Args:
        tasks: the tasks.
        may_answer: whether whoever reads it can answer what tasks ask their owner.
    """
    free = max(0, tasks.max_running - tasks.running)
    slots = f"{tasks.running} of {tasks.max_running} slots are in use, {free} free."
    if tasks.queued:
        slots += f" {tasks.queued} of {tasks.max_queued} places in the queue are taken."
    if not tasks.tasks:
        return f"You have no background tasks. {slots}"
    queued = sum(view.status == "queued" for view in tasks.tasks)
    running = sum(not view.ended for view in tasks.tasks) - queued
    yours = f"{running} still at work" + (f", {queued} queued" if queued else "")
    lines = [f"{_count(len(tasks.tasks), 'background task')}, {yours}. {slots}"]
    for view in tasks.tasks:
        lines += ["", _head(view), f"  Task: {one_line(view.task, _TASK_IN_LIST)}"]
        if view.reason:
            lines.append(f"  Reason: {one_line(view.reason, 300)}")
        lines += [f"  {line}" for line in question_lines(view, may_answer=may_answer)]
        if not view.ended and view.output.strip():
            lines.append(f"  Last said: {one_line(view.output.strip().splitlines()[-1], _TASK_IN_LIST)}")
    return "\n".join(lines)


def describe_view(view: TaskView, limit: int, *, may_answer: bool = True) -> str:
    """Return everything about one task: its result if it has one, else what it said, within `limit` characters.

    Args:
        view: the task.
        limit: characters.
        may_answer: see `describe_list`.
    """
    lines = [_head(view), f"Task: {bounded(view.task, _TASK_IN_VIEW)}"]
    if view.reason:
        lines.append(f"Reason: {bounded(view.reason, _TASK_IN_VIEW * 4)}")
    if view.continues:
        lines.append(f"Continues: {view.continues}")
    lines += question_lines(view, may_answer=may_answer)
    if view.budget is not None and (left := budget_left_text(view.budget)):
        lines.append(f"Left of its budget: {left}")
    if view.workdir:
        lines.append(f"Works in: {working_directory(view)}")
    if view.silence is not None:
        lines += ["", "--- What it does, seen from outside ---", bounded(silence_text(view.silence), _SILENCE_IN_VIEW)]
    title = "Result" if view.status == "completed" else "Output until then" if view.ended else "Output so far"
    head = "\n".join([*lines, "", f"--- {title} ---"])
    tail = f"\n\n--- Traceback ---\n{bounded(view.traceback, _TRACEBACK_IN_VIEW)}" if view.traceback else ""
    room = max(1000, limit - len(head) - len(tail) - 300)
    if view.status == "completed":
        body = _result(view, room)
    elif not view.has_result:
        body = _output(view, room)
    else:
        said = _output(view, room // 2)
        body = f"{said_before(said, result_text(view))}\n\n--- Result until then ---\n{_result(view, room // 2)}"
    return f"{head}\n{body or '(nothing)'}{tail}"


def describe_stop(stopped: Sequence[TaskView]) -> str:
    """Return what a stop ended, and how: the task itself first, then what it had started."""
    target, *owned = stopped
    lines = [f"{target.id} ({target.agent}) has ended after {duration(target.runtime)}: {target.status}."]
    if target.reason:
        lines.append(target.reason)
    lines.append(f"It had said {size(target.output_size)}; view_background_agent shows it.")
    if owned:
        lines.append(f"With it ended {_count(len(owned), 'task')} that it had started:")
        lines += [f"- {view.id} ({view.agent}): {view.status}. {view.reason}".rstrip() for view in owned]
    return "\n".join(lines)


def result_text(view: TaskView) -> str:
    """Return a task's result as text: itself, or JSON, indented if it is not in a file; raises as `TaskView.result`."""
    if not view.has_result:
        return ""
    text = view.result_as_json()
    if text.startswith('"'):
        return str(view.result)
    return text if view.result_file else msgspec.json.format(text, indent=2)


def result_line(view: TaskView) -> str:
    """Return how a task's result begins, without reading its file."""
    if view.result_file:
        return f"(in {view.result_file})"
    text = view.result_as_json() if view.has_result else ""
    return str(view.result).strip().split("\n", 1)[0] if text.startswith('"') else text[:_TASK_IN_VIEW]


def said_before(output: str, result: str) -> str:
    """Return the output up to the final answer, with which an agent's output ends, as it is told apart."""
    said, answer = output.rstrip(), result.strip()
    if not answer or not said.endswith(answer):
        return output
    before = said.removesuffix(answer)
    # An attempt that broke off may have left half a line before it. But the 4 at the end of 24 is not an answer.
    return before if not before or before.endswith("\n") or len(answer) >= _NO_COINCIDENCE else output


def working_directory(view: TaskView) -> str:
    """Return a task's own folder, with its branch if it is a git worktree; empty if it has none."""
    is_worktree = view.workdir and is_regular(f"{view.workdir}/.git")
    return f"{view.workdir} (git worktree, branch subactors/{view.id})" if is_worktree else view.workdir


def usage_text(usage: Usage) -> str:
    """Return what was used as people write it, with what it cost where that is known."""
    tokens = f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
    text = f"{tokens}, {dollars(usage.cost)}" if usage.cost else tokens
    return f"about {text} (an estimate)" if usage.estimated else text


def dollars(amount: float) -> str:
    """Return an amount with its cents, or with more places where it is less than ten of them."""
    return f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.4f}"  # noqa: PLR2004 - dollars


def budget_text(budget: Budget) -> str:
    """Return a budget as a list: `5 turns, $0.50, 60 s`, and what of it is shared."""
    return ", ".join(
        f"{shown(amount)} (all that is left, shared with who started it)" if name in budget.shared else shown(amount)
        for name, shown in _AMOUNTS.items()
        if (amount := getattr(budget, name)) is not None
    )


def budget_left_text(budget: TaskBudget) -> str:
    """Return what is left of a budget: `3 of 5 turns, $0.12 of $0.50, 31 of 60 s`, and what of it is shared."""
    given, left = msgspec.structs.asdict(budget), msgspec.structs.asdict(budget.left)
    parts = []
    for name, shown in _AMOUNTS.items():
        if given[name] is not None and left[name] is not None:
            shared = " (shared with who started it)" if name in budget.shared else ""
            parts.append(f"{shown(left[name]).split()[0]} of {shown(given[name])}{shared}")
        elif given[name] is not None:
            parts.append(f"{shown(given[name])} for each item")
    return ", ".join(parts)


def silence_text(silence: Silence) -> str:
    """Return what a silent task does, as lines."""
    lines = [f"In the tool {tool.name} for {duration(tool.seconds)}." for tool in silence.tools]
    if silence.stack:
        taken = f", {duration(silence.stack_age)} ago" if silence.stack_age >= _JUST_NOW else ""
        lines += [f"Its main thread, the innermost call first{taken}:", *_indented(silence.stack)]
    if silence.processes:
        lines.append("Its processes:")
        lines += [f"  {_process_text(process)}" for process in silence.processes]
    return "\n".join([*lines, *filter(None, [silence.missing])])


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def _process_text(process: ProcessSeen) -> str:
    percent = f" ({process.cpu_percent:.0f} %)" if process.cpu_percent is not None else ""
    return f"{process.pid} {process.name}: {process.state}, CPU {process.cpu_seconds:.2f} s{percent}"


def progress_text(progress: Progress) -> str:
    """Return how far a task has come: `3 of 10 (30 %): what it is at`."""
    text = _amount(progress.done)
    if progress.fraction is not None and progress.total is not None:
        text += f" of {_amount(progress.total)} ({progress.fraction * 100:.0f} %)"
    else:
        text += " done"
    return f"{text}: {progress.note}" if progress.note else text


def _amount(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.6g}"


def size(count: float) -> str:
    """Return a number of bytes as people write it, with decimal units."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004 - decimal units
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"  # noqa: PLR2004
        count /= 1000
    return f"{count:.1f} GB"


def _result(view: TaskView, limit: int) -> str:
    return bounded(result_text(view), limit, hint="The host program can read all of it.")


def _output(view: TaskView, limit: int) -> str:
    """Return the output, cut once: what is cut of it here may have been cut out of more before."""
    if len(view.output) <= limit:
        return view.output
    head, tail = head_and_tail(view.output, limit)
    left_out = view.output_size - len(head.encode()) - len(tail.encode())
    note = f"[{left_out:,} of {view.output_size:,} bytes left out here. The host program can read more of it.]"
    return f"{head}\n\n{note}\n\n{tail}"


def question_lines(view: TaskView, *, may_answer: bool = True) -> list[str]:
    """Return what a task asks, a line each; see `describe_list`."""
    whom = {"owner": "you may answer" if may_answer else "a person may answer", "person": "a person is to answer"}
    return [f"Asks ({each.id}, {whom[each.to]}): {question_text(each)}" for each in view.questions]


def question_text(question: Question) -> str:
    """Return a question with its choices, and what counts without an answer, in one line."""
    choices = f" Choose from: {', '.join(map(repr, question.choices))}." if question.choices else ""
    default = f" Without an answer: {question.default!r}." if question.default is not None else ""
    return one_line(f"{question.text}{choices}{default}{form_text(question)}", _QUESTION)


def form_text(question: Question) -> str:
    """Return how an answer of several fields is to be written; empty if it is text."""
    fields = msgspec.json.decode(question.schema)["properties"] if question.schema else ()
    return f"\nAnswer as JSON with these fields: {json.dumps(fields, ensure_ascii=False)}" if len(fields) > 1 else ""


def _head(view: TaskView) -> str:
    facts = [f"{view.id}  {view.agent}  {view.status}  {duration(view.runtime)}"]
    if view.queue_place:
        facts.append(f"place {view.queue_place} in the queue")
    if view.node:
        facts.append(f"on {one_line(view.node, 60)}")
    if view.attempts > 1:
        facts.append(f"attempt {view.attempts}")
    if view.rate_wait or (view.status == "starting" and view.doing):
        facts.append(view.doing)
    elif view.silent:
        cpu = view.vitals.cpu_percent if view.vitals is not None else None
        busy = "" if cpu is None else ", its CPU busy" if cpu > _BUSY else ", its CPU idle"
        facts.append(f"silent for {duration(view.silent)}{', ' if view.doing else ''}{view.doing}{busy}")
    if view.progress is not None:
        facts.append(progress_text(view.progress))
    if view.usage.requests:
        facts.append(usage_text(view.usage))
    if view.total_usage != view.usage:
        facts.append(f"with its tasks {usage_text(view.total_usage)}")
    if view.vitals is not None:
        facts += _used(view.vitals, ended=view.ended)
    return " · ".join(facts)


def _used(vitals: Vitals, *, ended: bool) -> list[str]:
    percent = f" ({vitals.cpu_percent:.0f} %)" if vitals.cpu_percent is not None else ""
    memory = f"memory {size(vitals.memory_bytes)}{' at its peak' if ended else ''}" if vitals.memory_bytes else ""
    return [text for text in (f"CPU {vitals.cpu_seconds:.2f} s{percent}", memory, vitals.note) if text]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


_AMOUNTS: Final[dict[str, Callable[[Any], str]]] = {
    "turns": lambda amount: _count(amount, "turn"),
    "tokens": lambda amount: f"{amount:,} tokens",
    "cost": dollars,
    "seconds": lambda amount: f"{round(amount, 2):g} s",
}
"""The amounts of a budget, in words."""
