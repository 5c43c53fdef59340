"""Errors of the actor layer. Every error of the product descends from `SubactorsError`.

SubactorsError
├── UnsupportedPlatformError   this operating system cannot do what the runtime needs
├── StartError                 an actor's process could not be started, or its constructor failed unnameably
├── ProtocolError              bytes on a channel that no healthy peer sends
├── PlainDataError             a value that cannot cross a channel as data
├── ForkedError                a process that an actor has forked speaks as if it were the actor
└── RemoteError                an exception of another process whose type this process does not rebuild
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ForkedError",
    "PlainDataError",
    "ProtocolError",
    "RemoteError",
    "StartError",
    "SubactorsError",
    "UnsupportedPlatformError",
    "presentable",
]

_LONGEST: Final = 100_000
"""Characters of an exception's text, and of its traceback, that are sent; a longer one loses its middle."""


class SubactorsError(Exception):
    """Base of every error that this product raises on purpose."""


class UnsupportedPlatformError(SubactorsError):
    """This operating system lacks what the runtime is built on; raised when the first process is to be started."""


class StartError(SubactorsError):
    """A process could not be started: the zygote did not come up, or the new process ended before it was ready."""


class ProtocolError(SubactorsError):
    """A frame that is torn, oversized, of an unknown kind or not what the declared types allow.

    It ends the process that sent it and nobody else. The message says what was wrong with the frame.
    """


class PlainDataError(SubactorsError, TypeError):
    """A reply or report that is not plain data (None, bool, int, float, str, bytes, list, dict) and so cannot cross."""


class ForkedError(SubactorsError):
    """A process that an actor's own code has forked cannot use the actor's channel: it would tear its messages."""

    def __init__(self) -> None:
        super().__init__(
            "This process was forked from an actor's, and only the actor itself can talk to its host. "
            "Hand what is to be said to that process, through a pipe or a queue."
        )


class RemoteError(SubactorsError):
    """An exception raised in another process.

    Only data crosses the channel, so exceptions other than Python's built-in ones arrive as this.

    Attributes:
        type_name: the exception's type as `module.qualname`.
        message: its text.
        traceback: the formatted traceback from the other process, possibly empty.
    """

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(f"{type_name}: {message}" if message else type_name)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback


def presentable(text: str) -> str:
    """Return an exception's text or traceback as it can be sent and shown: bounded, and encodable."""
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        left_out = len(text) - 2 * half
        text = f"{text[:half]}\n[{left_out:,} characters left out]\n{text[-half:]}"
    # Half a surrogate pair, as in the names of files and in badly cut text, has no UTF-8.
    return text.encode("utf-8", "replace").decode()
