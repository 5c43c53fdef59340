"""Errors of the runtime, all under `SubactorsError`.

Each is named for what happened, and its message says what to do.

    SubactorsError (subactors.actors)
    ├── TeamFileError          what is wrong in a team file, all of it at once
    ├── ImportTargetError      a `package.module:function` that cannot be had
    ├── RunError               a request that the runtime refuses
    │   ├── UnknownAgentError
    │   ├── EmptyTaskError
    │   ├── CapacityError      too many tasks run and are queued
    │   │   └── UnreadResultsError  or too many have ended that nobody has read
    │   ├── BudgetError        nothing is left of a budget, or a model has no price
    │   ├── DelegationError    too deep, or a circle of agents
    │   ├── RequirementError   what the agent needs is missing on this machine
    │   ├── UnknownTaskError
    │   ├── UnknownQuestionError  nobody waits for that answer, or not any more
    │   ├── NoAnswerError      nobody has answered a question in time
    │   └── TaskEndedError     the task has ended already
    ├── ModelError             a model could not answer
    │   ├── MissingKeyError    because its key is not there
    │   ├── ContextLengthError because the conversation is too long for it
    │   ├── RateLimitError     because its rate limit is reached
    │   └── RefusalError       because it, or its provider, refused to
    ├── ToolsetError           a toolset cannot be made ready for a task
    ├── WorkdirError           a task's own folder cannot be had
    ├── LoopError              the agent loop ended without an answer
    │   └── LimitError         because a limit was reached
    ├── OutputSchemaError      an output schema cannot be used, or an answer does not fit it
    ├── StateError             the state folder, or something in it, cannot be used
    └── RuntimeClosedError     the runtime is closed, or belongs to another process

What only the actor layer raises is in `subactors.actors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..actors import SubactorsError

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = [
    "BudgetError",
    "CapacityError",
    "ContextLengthError",
    "DelegationError",
    "EmptyTaskError",
    "ImportTargetError",
    "LimitError",
    "LoopError",
    "MissingKeyError",
    "ModelError",
    "NoAnswerError",
    "OutputSchemaError",
    "Problem",
    "RateLimitError",
    "RefusalError",
    "RequirementError",
    "RunError",
    "RuntimeClosedError",
    "StateError",
    "SubactorsError",
    "TaskEndedError",
    "TeamFileError",
    "ToolsetError",
    "UnknownAgentError",
    "UnknownQuestionError",
    "UnknownTaskError",
    "UnreadResultsError",
    "WorkdirError",
]


class Problem(msgspec.Struct, frozen=True, kw_only=True, order=False):
    """A place in a team file and what is wrong there.

    Attributes:
        source: the file's name as the user gave it, or `<mapping>`.
        line: the line in the file, from 1; 0 where there is none (a mapping has no lines).
        path: the key's path, such as `agents.root.toolsets[0].type`; empty for the file as a whole.
        message: what is wrong.
        remedy: what would be right; empty where the message says it already.
    """

    source: str
    line: int
    path: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return `file:line: path: message. remedy`, as compilers print it."""
        place = f"{self.source}:{self.line}" if self.line else self.source
        path = f"{self.path}: " if self.path else ""
        tail = f" {self.remedy}" if self.remedy else ""
        return f"{place}: {path}{self.message}{tail}"


_MOST_PROBLEMS = 90
"""Problems of a team file that its message tells, a line each."""


class TeamFileError(SubactorsError):
    """A team file that cannot be used.

    Attributes:
        problems: everything that is wrong with it, in the order of the file. The message has the first ninety.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        lines = [str(problem) for problem in problems[:_MOST_PROBLEMS]]
        if len(problems) > len(lines):
            lines.append(f"There are {len(problems) - len(lines):,} more problems.")
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)


class ImportTargetError(SubactorsError):
    """A `package.module:function` of a team file that cannot be imported or called; the message says which part."""


class RunError(SubactorsError):
    """A request that the runtime refuses; the message says why and what would be right."""


class UnknownAgentError(RunError, LookupError):
    """There is no such agent, or the caller may not use it; the message lists the ones it may."""


class EmptyTaskError(RunError, ValueError):
    """The task's text is empty or only white space."""


class CapacityError(RunError):
    """There is neither a slot for a task nor room in the queue, or too many ends are unread; says how to make room."""


class UnreadResultsError(CapacityError):
    """Too many tasks have ended whose results nobody has read; says how to make room. Waiting makes none."""


class BudgetError(RunError):
    """Nothing is left of a budget that the task would use, or it is one of dollars and its model has no price."""


class DelegationError(RunError):
    """The chain of agents is too deep or comes back to an agent it holds; the message shows the chain."""


class RequirementError(RunError):
    """The agent, or one it may start, needs something this machine lacks; the message says what to install."""


class UnknownTaskError(RunError, LookupError):
    """There is no such task, or it is not in the caller's subtree; the message lists the ids there are."""


class UnknownQuestionError(RunError, LookupError):
    """There is no such question, or it has been answered or withdrawn; the message lists those that there are."""


class NoAnswerError(RunError):
    """A question had no default, and nobody answered it in time; the message says whom it asked, and for how long."""


class TaskEndedError(RunError):
    """The task has ended already; the message names its status. Raised for the model's tool only."""


class ModelError(SubactorsError):
    """A model could not answer: no key, no connection, refused, stalled. The message says which and what to do."""


class MissingKeyError(ModelError):
    """A model needs a key, and no variable that may hold it is set; the message names them."""


class ContextLengthError(ModelError):
    """The conversation is longer than the model, or its server, allows."""


class RateLimitError(ModelError):
    """The rate limit of a model is reached. Raised once `rate_patience` is over, or where it could not be enough.

    Attributes:
        model: the reference of the model.
        server: what has the limit: address and name of the model there.
        after: seconds until the server may be asked again; None where it does not say.
    """

    def __init__(self, message: str, *, model: str = "", server: str = "", after: float | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.server = server
        self.after = after


class RefusalError(ModelError):
    """The model refused to answer, or its provider's filter ended the answer: another try would say the same."""


class ToolsetError(SubactorsError):
    """A toolset cannot be made ready: an MCP server does not start, say. The message says which, and why."""


class WorkdirError(SubactorsError):
    """A task's own folder, or its git worktree, cannot be had; the message says why."""


class LoopError(SubactorsError):
    """The agent loop ended without a final answer: `max_iterations` reached, or no progress."""


class LimitError(LoopError):
    """A limit has ended the agent loop: on turns, tokens, cost or time. The message names it.

    Attributes:
        result: what the model had by then, and handed back in a last turn, without tools; may be empty.
    """

    def __init__(self, message: str, result: str = "") -> None:
        super().__init__(message)
        self.result = result


class OutputSchemaError(SubactorsError, ValueError):
    """An output schema that cannot be used, or an answer that does not fit it; the message says what, and where.

    A task that fails for it has a reason that begins with `schema: `.
    """


class StateError(SubactorsError):
    """The state folder, or something in it, cannot be used; the message says which path, why, and what to do."""


class RuntimeClosedError(SubactorsError):
    """The runtime is closed, or belongs to the process that this one was forked from."""


def refusal(error: str, message: str) -> RunError | RuntimeClosedError | None:
    """Return with what the supervisor has refused a request in another process, as the type that it had there.

    Args:
        error: the name of its type.
        message: what it says.

    Returns:
        None if that is not the name of a refusal.
    """
    kind = globals().get(error) if error in __all__ else None
    if isinstance(kind, type) and issubclass(kind, RunError | RuntimeClosedError):
        return kind(message)
    return None
