"""Next chunk: what a mapping, and the processes that work through its chunks, ask the supervisor.

Of a mapping in chunks each task is good for one chunk. When it has worked through that, its process asks whether there
is another. Whoever maps is told of the result, and gives the next, or says that there is none: then the task ends with
that result. So a process that is there is used again, and nothing else about tasks changes.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from .request import Request
from .result import check_result
from .views import TaskView

__all__ = ["LONGEST_CHUNK_RESULT", "AwaitChunk", "ChunkDone", "ChunkGiven", "NextChunk"]

LONGEST_CHUNK_RESULT: Final = 500_000
"""Characters of a result with which a process may ask for the next chunk; with a longer one its task ends."""


class ChunkGiven(msgspec.Struct, frozen=True):
    """Supervisor to a task's process: the next chunk.

    Attributes:
        call: as in `RunTask`; empty: there is none, and the task ends with the result that it has told.
    """

    call: bytes = b""


class NextChunk(Request[ChunkGiven], frozen=True, tag="next_chunk"):
    """A task's process has worked through a chunk; answered when there is another one, or none for certain.

    Attributes:
        result: what came of it, as JSON text.
    """

    result: Annotated[str, msgspec.Meta(max_length=LONGEST_CHUNK_RESULT)]

    def __post_init__(self) -> None:
        """Refuse with a TypeError what is not plain data; runs in the task's process, and in the host's I/O thread."""
        check_result(self.result)


class ChunkDone(msgspec.Struct, frozen=True):
    """Supervisor to whoever maps: how far a task is.

    Attributes:
        view: the task as if it had ended with the chunk that it has worked through, and waits for the next; None: it
            has begun with its first, or will ask no more.
        is_refused: whether the chunk that was given is not taken, as the task takes none any more.
    """

    view: TaskView | None = None
    is_refused: bool = False


class AwaitChunk(Request[ChunkDone], frozen=True, tag="await_chunk"):
    """Give a task its next chunk, and hear when it has worked through the one that it has.

    Attributes:
        task_id: the task.
        call: the chunk, as in `RunTask`; empty: the one that it was started with.
        has_begun: whether the caller knows that the task has begun; else that is answered first.
        is_last: whether there is none for it any more; then this is answered at once.
    """

    task_id: str
    call: bytes = b""
    has_begun: bool = False
    is_last: bool = False
