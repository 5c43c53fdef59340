"""The page of the Python API: every public name with the first sentence of its docstring, in groups.

The site shows the whole docstrings in place of the comments that are left here (`tools/site.py`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

import subactors.runtime
from subactors.runtime import testing

__all__ = ["python_api"]

GROUPS: Final = {
    "The runtime": "Runtime AsyncRuntime OrchestratorTools",
    "Tasks": "Task AsyncTask Group AsyncGroup TaskExecutor EventStream AsyncEventStream",
    "Inside a task": "EntrypointTask current_task TaskTools TaskModel ModelAnswer ToolAnswer ToolSchema",
    "What is told of tasks": (
        "TaskView TaskList Status Usage Vitals Budget TaskBudget Progress Question SteerReceipt NodeView"
    ),
    "Events": (
        "Event TaskQueued TaskStarted TaskOutput TaskProgress TaskCalledTool TaskGotToolAnswer TaskAsked TaskAnswered "
        "TaskRestarting TaskEnded Lagged"
    ),
    "Teams in Python": (
        "Team AgentConfig ModelConfig ToolsetConfig Settings Limits RestartPolicy SshPlace RayPlace Resources"
    ),
    "Ends of tasks that did not complete": "TaskFailed TaskCrashed TaskStopped",
    "Errors": (
        "SubactorsError TeamFileError Problem ImportTargetError RunError UnknownAgentError EmptyTaskError "
        "CapacityError UnreadResultsError BudgetError DelegationError RequirementError UnknownTaskError "
        "UnknownQuestionError NoAnswerError TaskEndedError ModelError MissingKeyError ContextLengthError "
        "RateLimitError RefusalError ToolsetError WorkdirError LoopError LimitError OutputSchemaError "
        "NotOfTypeError StateError RuntimeClosedError"
    ),
}

ALIASES: Final = {
    "Event": "Any of the events below.",
    "Status": "What a task is at: see the [glossary](glossary.md).",
    "ToolSchema": "A tool as a model sees it, in OpenAI's format: a mapping.",
}
"""Names of types, which have no docstrings."""

SHORTER: Final = {
    "AsyncRuntime": "The same, for programs with an event loop: its verbs are awaited.",
    "Group": "Tasks that end with a block, for programs that block.",
    "AsyncGroup": "Tasks that end with a block, for programs with an event loop.",
    "EventStream": "Events as they happen, for a plain `for`.",
    "AsyncEventStream": "Events as they happen, for `async for`.",
    "Vitals": "What a task's process tree uses.",
    "ModelConfig": "One model, resolved: where to send requests, or which function to call.",
    "RestartPolicy": "When a task that has ended is started again.",
}
"""Names whose docstrings begin with more than belongs into a table."""


def first_sentence(found: object) -> str:
    """Return the first paragraph of a docstring, without pointers to what is not public."""
    text = re.sub(r"\s+", " ", (inspect.getdoc(found) or "").partition("\n\n")[0])
    return re.sub(r"; see `.*?(?=\.( |$))", "", text).replace("|", "\\|")


def rows(module: object, names: list[str], home: str) -> Iterator[str]:
    """Yield a table of names."""
    yield from ("| name | is |", "|---|---|")
    for name in names:
        yield f"| `{name}` | {ALIASES.get(name) or SHORTER.get(name) or first_sentence(getattr(module, name))} |"
    yield ""
    for name in names:
        if name not in ALIASES:
            yield f"<!-- site: {home}.{name} -->"
    yield ""


def python_api(note: str) -> Iterator[str]:
    """Yield the lines of the page.

    Args:
        note: says that the page is made, and by what.
    """
    known = [name for names in GROUPS.values() for name in names.split()]
    if sorted(known) != sorted(subactors.runtime.__all__):
        differing = sorted({*known} ^ {*subactors.runtime.__all__})
        raise SystemExit(f"Put these public names into a group of tools/python_api.py, or out of it: {differing}.")
    yield from (
        "# Python API",
        "",
        note,
        "Every public name of `subactors.runtime`, and of `subactors.runtime.testing`. In a shell,",
        "`python -c 'from subactors.runtime import Runtime; help(Runtime)'` shows one with all that it has.",
        "[Embedding](embedding.md) shows them at work.",
        "",
    )
    for title, names in GROUPS.items():
        yield from (f"## {title}", "")
        yield from rows(subactors.runtime, names.split(), "subactors.runtime")
    yield from (
        "## The fault kit",
        "",
        "`subactors.runtime.testing` has sub-agents that misbehave on purpose, to test how your program takes it. Name",
        "them as entrypoints: `subactors.runtime.testing:segfault`.",
        "",
    )
    yield from rows(testing, [name for name in testing.__all__ if callable(getattr(testing, name))], testing.__name__)
