"""The messages of the runtime: what is asked of the supervisor, and what a task's process tells it.

Requests are the same whether they come from the host or, over a channel, from inside a task; the supervisor knows who
asks from where the request came, never from what it says. What comes from a task is decoded against the closed unions
`TaskRequest` and `TaskReport`.
"""

from __future__ import annotations

from typing import Annotated, Final, Generic, Literal, TypeAlias

import msgspec

from ...actors import RestartPolicy
from ..models.base import Usage
from ..team.config import Limits, Workdir
from .group_request import LONGEST_SCHEMA, MapAgent, TaskAccepted
from .news import KnownQuestions, TakeNews
from .request import Reply, Reply_co, Request, TaskIds, in_words
from .result import check_result
from .talk import LetterNumbers, TalkReport, TalkRequest
from .turns import Asked, AskTurn, AwaitWritten, CallAnswered, CallsBegan, Messages, Spent
from .views import Progress, TaskList, TaskView

__all__ = [
    "AS_USUAL",
    "LONGEST_ARGUMENTS",
    "AwaitRate",
    "Began",
    "CallAnswered",
    "CallsBegan",
    "CheckData",
    "DataChecked",
    "Failed",
    "Finished",
    "ListTasks",
    "Noted",
    "Progressed",
    "RateTurn",
    "Reading",
    "Request",
    "ResumeTask",
    "RunOptions",
    "RunTask",
    "StartRequest",
    "StopTasks",
    "TaskAccepted",
    "TaskReport",
    "TaskRequest",
    "ToolAnswered",
    "ToolCalled",
    "TurnEnded",
    "ViewTask",
    "WaitTasks",
    "checked",
]


# --- requests: tool layer or host to supervisor, and their replies --------------------------------------------------

OutputLimit: TypeAlias = Annotated[int, msgspec.Meta(ge=0)] | None
"""Bytes of each task's output that are wanted in a reply, head and tail; None: all that is kept."""


class RateTurn(msgspec.Struct, frozen=True):
    """Supervisor to the asker: send your request now."""


LONGEST_KEY: Final = 500
"""Characters of a key."""


class RunOptions(msgspec.Struct, frozen=True):
    """How one task differs from others of its agent.

    Attributes:
        limits: what it may use; they only narrow those of its agent, or of the task that starts the function.
        restart: when it is started again; None: as its agent has it; a function: never.
        workdir: where it works; None: as its agent has it; a function: in the runtime's working directory.
        key: a name of this piece of work, in the caller's words. A second task of a caller with the same key is not
            started: the first is answered, or refused if it is of another agent or function.
        output_schema: the JSON schema that its answer must fit, as JSON text; None: it may be anything.
        place: name of the place where it runs; empty: the host's own machine; None: as its agent has it.
        near: a task on whose node it is to run, if it can; at whose place, where nothing else names one.
    """

    limits: Limits | None = None
    restart: RestartPolicy | None = None
    workdir: Workdir | None = None
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_KEY)] | None = None
    output_schema: Annotated[str, msgspec.Meta(max_length=LONGEST_SCHEMA)] | None = None
    place: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    near: Annotated[str, msgspec.Meta(max_length=200)] | None = None


AS_USUAL: Final = RunOptions()


class RunTask(Request[TaskAccepted], frozen=True, tag="run"):
    """Start or queue a task; answered with `TaskAccepted` at once, while its process is still starting, or queued.

    Attributes:
        agent: the agent that is to run it; where there is a `call`, what the task is called in its place.
        task: what it is to do, in words.
        expected_output: what the answer should look like.
        data: what it is to work on, as JSON text; None if there is nothing.
        call: a function and its arguments, pickled, that is the whole task, in place of an agent; else empty. Only the
            task's own process unpickles it.
        has_code: whether code came with the call, and not names only.
        options: how it differs from others.
        notify: whether the caller is owed word of its end; see `TakeNews`.
        calling: the tool call of the caller's model that starts it; empty if none does.
        may_queue: whether it may be queued; else it is refused where it cannot start at once.
    """

    agent: str
    task: str
    expected_output: str | None = None
    data: str | None = None
    call: bytes = b""
    options: RunOptions = AS_USUAL
    has_code: bool = False
    notify: bool = False
    calling: Annotated[str, msgspec.Meta(max_length=200)] = ""
    may_queue: bool = True

    @property
    def is_ours(self) -> bool:
        """Whether the call is of a function of ours, put there by the supervisor; nobody can ask for that."""
        return False


class ResumeTask(Request[TaskAccepted], frozen=True, tag="resume"):
    """Continue a task of the caller's that has ended, from its last finished turn; answered as `RunTask`.

    Attributes:
        task_id: the task that is continued.
        message: what it is to do now; None: what it was at.
    """

    task_id: str
    message: str | None = None


class DataChecked(msgspec.Struct, frozen=True):
    """Host to the asker: whether data is what an entrypoint takes.

    Attributes:
        fault: why not, in a sentence; empty if it is, or if nobody could tell.
        takes_any: whether the entrypoint has no parameter of its own for data, so that none need be checked.
    """

    fault: str = ""
    takes_any: bool = False


class CheckData(Request[DataChecked], frozen=True, tag="check_data"):
    """To the host, not to the supervisor: see whether data is what an agent's entrypoint takes, in another process."""

    agent: str
    data: str


class ListTasks(Request[TaskList], frozen=True, tag="list"):
    """Answered with the `TaskList` of the caller's subtree (the host's: all); `only`: of these, and what they start."""

    only: list[str] | None = None


class Reading(Request[Reply_co], Generic[Reply_co], frozen=True, kw_only=True):
    """A request whose reply shows ends of tasks, which then count as read.

    Attributes:
        peek: whether they do not: whoever asks tells later what it has seen, with `Acknowledge`, or only looks. A reply
            may be lost on its way to a caller that is cancelled; what was in it must not count as read.
    """

    peek: bool = False


class ViewTask(Reading[TaskView], frozen=True, tag="view"):
    """Answered with the `TaskView`, output included.

    Attributes:
        task_id: the task.
        limit: see `OutputLimit`.
        closely: whether a task that is silent is looked at from outside, which takes up to a second; see `Silence`.
    """

    task_id: str
    limit: OutputLimit = None
    closely: bool = False


class WaitTasks(Reading[TaskList], frozen=True, tag="wait"):
    """Answered when all, or any, of the tasks have ended, or the time is over: the `TaskList` of those that have.

    Attributes:
        task_ids: the tasks.
        mode: whether to wait for all of them, or for any.
        timeout: seconds; None: without end.
        limit: see `OutputLimit`.
        number: by which a task can say later that nobody waits any more (`Noted`); 0: it never will.
        known_only: whether tasks that are not remembered any more are left out; else they are an error.
        until_asked: whether it is answered, too, when one of the tasks asks its owner something.
        known: ids of questions that the caller has been told of; they do not end the wait.
    """

    task_ids: TaskIds
    mode: Literal["all", "any"] = "all"
    timeout: float | None = None
    limit: OutputLimit = None
    number: int = 0
    known_only: bool = False
    until_asked: bool = False
    known: KnownQuestions = ()


class StopTasks(Reading[TaskList], frozen=True, tag="stop"):
    """Answered when the tasks and all that they own are gone: the `TaskList` of each, and after it of what it owned.

    Attributes:
        task_ids: the tasks; all are asked to stop before any is waited for.
        limit: see `OutputLimit`.
        refuse_ended: whether a task that has ended is an error, or answered as it is.
        known_only: see `WaitTasks`.
    """

    task_ids: TaskIds
    limit: OutputLimit = None
    refuse_ended: bool = False
    known_only: bool = False


class AwaitRate(Request[RateTurn], frozen=True, tag="await_rate"):
    """Answered with `RateTurn` when the caller may send its next request to a model whose rate limit it has met.

    Attributes:
        model: reference of the model, to be shown.
        server: what has the limit: address and name of the model there.
        refused: whether the caller's last request was refused for the rate limit.
        after: seconds until the server may be asked again, where it says so.
    """

    model: Annotated[str, msgspec.Meta(max_length=200)]
    server: Annotated[str, msgspec.Meta(max_length=200)]
    refused: bool
    after: Annotated[float, msgspec.Meta(ge=0.0)] | None = None


StartRequest: TypeAlias = RunTask | MapAgent | ResumeTask
"""All that starts a task; whoever may only look, and stop, is refused it."""

TaskRequest: TypeAlias = (
    StartRequest
    | ListTasks
    | ViewTask
    | WaitTasks
    | StopTasks
    | TakeNews
    | AwaitRate
    | AskTurn
    | AwaitWritten
    | TalkRequest
)


def checked(request: Request[Reply]) -> Request[Reply]:
    """Return a request as it was; what tasks ask was checked when it was decoded, but a program may give anything.

    Raises:
        TypeError: a field has the wrong type.
    """
    try:
        return msgspec.convert(msgspec.structs.asdict(request), type(request))
    except msgspec.ValidationError as error:
        raise TypeError(f"An argument has the wrong type or size: {in_words(error)}") from None


# --- reports: a task's process to the supervisor --------------------------------------------------------------------

# The host keeps some of what is reported for each task, and for each reader of events, so it takes no more than it can
# keep: what is longer is a violation of the protocol. `TaskWork` cuts what it reports.

LONGEST_ARGUMENTS: Final = 8_000
"""Characters of an exception's arguments as JSON text."""

ShortText: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]
LongText: TypeAlias = Annotated[str, msgspec.Meta(max_length=25_000)]


class ToolCalled(msgspec.Struct, frozen=True, tag="tool_called"):
    """The task's model has called a tool."""

    call_id: ShortText
    name: ShortText
    arguments: LongText


class ToolAnswered(msgspec.Struct, frozen=True, tag="tool_answered"):
    """A tool has answered; `text` is the beginning of the answer."""

    call_id: ShortText
    name: ShortText
    text: LongText
    is_error: bool


class Progressed(msgspec.Struct, frozen=True, tag="progressed"):
    """The task's code has told how far it has come."""

    progress: Progress


class TurnEnded(msgspec.Struct, frozen=True, tag="turn_ended", omit_defaults=True):
    """A turn of the loop has ended.

    Attributes:
        usage: what the turn cost.
        messages: what the conversation grew by, each as JSON text; an empty text stands for one that was told before,
            with `CallsBegan` or `CallAnswered`. Empty where the turn was broken off.
        letters: numbers of the letters that are in these messages.
        told: tasks of whose ends these messages tell.
        asked: how it came about; None: that was told with `CallsBegan`, or it only stands for what was used.
    """

    usage: Usage
    messages: Messages
    letters: LetterNumbers = []
    told: TaskIds = []
    asked: Asked | None = None


class Began(msgspec.Struct, frozen=True, tag="began"):
    """The loop begins; `messages` is what its conversation starts with, each as JSON text; none if it goes on."""

    messages: Messages


class Finished(msgspec.Struct, frozen=True, tag="finished", omit_defaults=True):
    """The loop has returned, once and last.

    Attributes:
        result: the final answer as JSON text (see `result`); `null` if it was cut short before there was one.
        early: whether a stop had arrived before it returned.
        in_file: whether the answer is in the task's result file, and `result` means nothing.
        limit: the limit that has ended the loop, as a sentence; `result` is what there was by then.
    """

    result: str
    early: bool
    in_file: bool = False
    limit: LongText = ""

    def __post_init__(self) -> None:
        """Refuse with a TypeError what is not plain data; runs in the task's process, and in the host's I/O thread."""
        if not self.in_file:
            check_result(self.result)


class Failed(msgspec.Struct, frozen=True, tag="failed", omit_defaults=True):
    """The loop, or the entrypoint, has raised; the process ends for it. See `tasks/failure`.

    Attributes:
        reason: the exception as a sentence.
        traceback: the frames of the user's own code; empty if there are none.
        arguments: of the exception, of a function's task; see `exceptions.pack_arguments`.
    """

    reason: LongText
    traceback: LongText
    arguments: Annotated[str, msgspec.Meta(max_length=LONGEST_ARGUMENTS)] = ""


class Noted(msgspec.Struct, frozen=True, tag="noted"):
    """The task's code has taken note of what its own tasks did.

    Attributes:
        seen: tasks whose ends it has seen; see `Reading.peek`.
        dropped: numbers of `WaitTasks` that nobody waits for any more.
    """

    seen: TaskIds = []
    dropped: Annotated[list[int], msgspec.Meta(max_length=10_000)] = []


TaskReport: TypeAlias = (
    Began
    | Progressed
    | CallsBegan
    | ToolCalled
    | ToolAnswered
    | CallAnswered
    | TurnEnded
    | Noted
    | TalkReport
    | Spent
    | Finished
    | Failed
)
