"""Messages: between the host and one actor's process, and between the host and the zygote; closed unions of types.

A child sends msgpack, decoded against these (see `frames`). Only the host sends pickles: in `Start`, `Tell` and `Ask`.
"""

from __future__ import annotations

from traceback import format_exception
from typing import Annotated, Final, TypeAlias

import msgspec

from ..errors import presentable

__all__ = [
    "CHANNEL",
    "HERE",
    "MOST_NAMED",
    "OWN_ATTRIBUTES",
    "STARTED",
    "Answer",
    "Ask",
    "Attribute",
    "Attributes",
    "Configuration",
    "Count",
    "ErrorData",
    "Exited",
    "Fork",
    "ForkFailed",
    "Forked",
    "FromChild",
    "FromZygote",
    "GroupUse",
    "Interface",
    "Preload",
    "PreloadFailed",
    "ProcessLimits",
    "Ready",
    "Refused",
    "Reply",
    "ReplyError",
    "Report",
    "Request",
    "Start",
    "StartFailed",
    "Stop",
    "Stopped",
    "Tell",
    "ToChild",
    "TrackerWanted",
    "error_data",
]

CHANNEL: Final = 3
"""Number of the channel's descriptor in every child."""

HERE: Final = b"here"
"""What the zygote says when it begins to serve and whenever the host says it: that it is there, and listens."""

MOST_NAMED: Final = 20
"""Process ids of survivors that are told: a packet has a size, and a reason is read by people."""


class ErrorData(msgspec.Struct, frozen=True):
    """An exception as data.

    Attributes:
        type_name: `module.qualname` of the exception's type.
        message: its text.
        traceback: formatted traceback of the process in which it was raised.
    """

    type_name: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        """Return type and message the way a traceback ends."""
        name = self.type_name.removeprefix("builtins.")
        return f"{name}: {self.message}" if self.message else name


def error_data(error: BaseException) -> ErrorData:
    """Return an exception as data that can cross, whatever its text is and even if that cannot be made."""
    kind = type(error)
    try:
        # Of exactly that type: a subclass may behave in any way.
        message = str.__str__(str(error))
    except BaseException:  # noqa: BLE001 - a broken __str__ must not hide the failure that it describes
        message = "(the exception's text could not be made)"
    try:
        text = "".join(format_exception(error))
    except BaseException:  # noqa: BLE001 - the same
        text = ""
    return ErrorData(f"{kind.__module__}.{kind.__qualname__}", presentable(message), presentable(text))


OWN_ATTRIBUTES: Final = frozenset({"actor_urn", "actor_inbox", "actor_stopped", "actor_ref"})
"""What every actor has, in its process as in the host: it is not told."""

Interface: TypeAlias = dict[str, "Attribute"]


class Attribute(msgspec.Struct, frozen=True):
    """What a proxy must know of one attribute of an actor: whether it is called, or entered, and what is inside."""

    callable: bool
    inner: dict[str, Attribute] | None = None


# --- child to host: decoded in the host's I/O thread, against exactly these types -----------------------------------


AnnouncedInterface: TypeAlias = Annotated[Interface, msgspec.Meta(max_length=10_000)]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Child to host, once: the actor's constructor returned."""

    attributes: AnnouncedInterface


class StartFailed(msgspec.Struct, frozen=True, tag="start_failed"):
    """Child to host, in place of `Ready`: the process could not be set up, or the constructor raised."""

    error: ErrorData


class Attributes(msgspec.Struct, frozen=True, tag="attributes"):
    """Child to host: the actor's own attributes have changed; proxies learn the names from it."""

    attributes: AnnouncedInterface


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """Child to host: what an ask answered, as plain data, which is decoded by who asked (see `reply`)."""

    ask_id: int
    value: msgspec.Raw


class ReplyError(msgspec.Struct, frozen=True, tag="reply_error"):
    """Child to host: what an ask raised."""

    ask_id: int
    error: ErrorData


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Child to its supervisor: a message of the layer above, decoded there against its own closed union."""

    body: msgspec.Raw


class Request(msgspec.Struct, frozen=True, tag="request"):
    """Child to its supervisor: as `Report`, and an `Answer` or `Refused` with the same id is owed."""

    request_id: int
    body: msgspec.Raw


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """Child to host, last: the actor's loop has ended, by itself or by the error given."""

    error: ErrorData | None = None


STARTED: Final = b"!"
"""Answer to `TrackerWanted`: there is a tracker that reads from the pipe."""


class TrackerWanted(msgspec.Struct, frozen=True, tag="tracker_wanted"):
    """Child to host, once at most: a resource tracker is to read from a pipe of the child's (see `host/tracker`).

    Attributes:
        reader: the pipe's descriptor, in the child.
        answer: descriptor of another pipe, in which the host says `STARTED`, or where it has a tracker itself.
    """

    reader: Annotated[int, msgspec.Meta(ge=0)]
    answer: Annotated[int, msgspec.Meta(ge=0)]


FromChild: TypeAlias = (
    Ready | StartFailed | Attributes | Reply | ReplyError | Report | Request | Stopped | TrackerWanted
)


# --- host to child: trusted -----------------------------------------------------------------------------------------


class ProcessLimits(msgspec.Struct, frozen=True):
    """What the kernel holds one process, or its tree, to; None is no limit.

    Attributes:
        cpu_seconds: RLIMIT_CPU, rounded up to whole seconds: SIGXCPU ends the process.
        data_bytes: how much its private memory may grow beyond what it starts with (RLIMIT_DATA): then MemoryError.
        tree_bytes: memory of the process and all that it starts, where there are control groups: then SIGKILL for all.
        tree_processes: number of processes, likewise, with room for their threads: then no more can be forked.
    """

    cpu_seconds: float | None = None
    data_bytes: int | None = None
    tree_bytes: int | None = None
    tree_processes: int | None = None


class Start(msgspec.Struct, frozen=True, tag="start", omit_defaults=True):
    """Host to child, first: everything that makes a bare process this actor, or a process of `multiprocessing`.

    Descriptors may come with it; what is pickled in it names them by their places among these.

    Names of files and the environment are bytes, as the operating system has them: they need not be valid text.

    Attributes:
        urn: the actor's URN, chosen by the host.
        actor: pickle of `(class, args, kwargs)`.
        directory: working directory.
        environ: the whole environment; None is the one that the zygote was given.
        sys_path: module search path; None as for `environ`.
        capture: file that takes descriptors 1 and 2; None leaves them where the host's go.
        limits: for this process; None means no limits.
        group: the control group that it is to make and enter; None if it needs none, or there is no tree for it.
        process: what `multiprocessing` pickles of a process that is no actor (see `context/child`).
        memory: which of the descriptors is a file that holds the frame of the message itself, as that is long.
        authkey: the host's key for connections of `multiprocessing`, if it uses that.
        tracker: which of the descriptors leads to the host's resource tracker, if that runs.
    """

    urn: str
    actor: bytes
    directory: bytes
    environ: dict[bytes, bytes] | None
    sys_path: list[bytes] | None
    capture: bytes | None
    limits: ProcessLimits | None = None
    group: str | None = None
    process: bytes | None = None
    memory: int | None = None
    authkey: bytes | None = None
    tracker: int | None = None


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Host to child: a message for the mailbox, pickled."""

    body: bytes


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Host to child: as `Tell`, and a `Reply` or `ReplyError` with the same id is owed."""

    ask_id: int
    body: bytes


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Host to child: stop after what is in the mailbox; `on_stop_requested` runs at once."""


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Supervisor to child: the answer to a `Request`, encoded by the layer above."""

    request_id: int
    body: msgspec.Raw


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Supervisor to child: the request failed, and how."""

    request_id: int
    error: ErrorData


ToChild: TypeAlias = Start | Tell | Ask | Stop | Answer | Refused


# --- host and zygote: one packet a message on a SOCK_SEQPACKET pair -------------------------------------------------


class Configuration(msgspec.Struct, frozen=True):
    """Host to zygote, first; in a file in memory that comes with an empty packet, as it may be longer than one.

    Attributes:
        host_pid: the host, whose death ends everything.
        environ: the environment of actors that are given no other.
        sys_path: the host's module search path.
        folders: what comes before it for actors, and for `late_preload`.
        preload: modules that every actor will want, imported once.
        late_preload: the same, but with `folders` on the path; the host hears of those that fail.
        rehearsal: pickle of `(class, args, kwargs)` of an actor to rehearse; empty: the next, or an idle one.
        short_rehearsal: the same, of one with what most actors have in common; empty if there is none.
        for_many: whether the zygote rehearses from the beginning, or not before the second actor.
        host_name: what `multiprocessing` calls the host.
        lease: seconds without a packet after which the zygote ends everything; 0: it needs none.
    """

    host_pid: int
    environ: dict[bytes, bytes]
    sys_path: list[bytes]
    folders: list[bytes]
    preload: list[str]
    late_preload: list[str]
    rehearsal: bytes
    short_rehearsal: bytes
    for_many: bool
    host_name: str = "MainProcess"
    lease: float = 0.0


class Fork(msgspec.Struct, frozen=True, tag="fork", omit_defaults=True):
    """Host to zygote, with one descriptor: fork a process that serves this channel.

    Attributes:
        group: the control group that the process will be in, to be ended and removed with it.
        standby: whether it will wait for its first message for a while, and should be ready for it.
        fenced: whether it is to be behind a fence; see `fence`.
        plain: whether it will be a process of `multiprocessing`, and no actor.
    """

    key: int
    group: str | None = None
    standby: bool = False
    fenced: bool = False
    plain: bool = False


class Preload(msgspec.Struct, frozen=True, tag="preload"):
    """Host to zygote: import this module for all actors to share, before the next fork."""

    entry: str


class PreloadFailed(msgspec.Struct, frozen=True, tag="preload_failed"):
    """Zygote to host: an entry of `late_preload` has raised this; the others were still imported."""

    entry: str
    error: ErrorData


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """Zygote to host, with the new process's pidfd."""

    key: int
    pid: int


class ForkFailed(msgspec.Struct, frozen=True, tag="fork_failed"):
    """Zygote to host: the system refused another process."""

    key: int
    message: str


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""What is counted, on this machine or on a node: any database and any JSON reader takes it."""


class GroupUse(msgspec.Struct, frozen=True):
    """What the kernel has counted in a process's control group; 0 where it does not count.

    Attributes:
        memory_kills: processes that it killed because the group had reached its own limit.
        memory_peak: most memory that the group has used, in bytes.
        refused_forks: processes and threads that it did not let the group start.
        entries: processes and threads that the group may have at a time.
    """

    memory_kills: Count = 0
    memory_peak: Count = 0
    refused_forks: Count = 0
    entries: Count = 0


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """Zygote to host, once a process and everything that it had started is gone and reaped.

    Attributes:
        code: exit status, or minus the number of the signal that ended it.
        user_seconds: CPU time in user mode, children that it reaped included.
        system_seconds: CPU time in the kernel.
        peak_bytes: largest resident set.
        survivors: number of processes that were left, perhaps by it, when it could wait for them no longer.
        survivor_ids: ids of the first of them.
        group: what was counted in its control group; None if it was in none.
    """

    key: int
    code: int
    user_seconds: float
    system_seconds: float
    peak_bytes: int
    survivors: int = 0
    survivor_ids: tuple[int, ...] = ()
    group: GroupUse | None = None


FromZygote: TypeAlias = Forked | ForkFailed | Exited | PreloadFailed
