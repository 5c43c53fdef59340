"""Failures: the exception that ended a task, as a sentence and as the user's own part of its traceback.

Everything here runs in the task's process, once the task has failed. It must never raise for an exception that is
itself broken, and never return more than the host takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from traceback import TracebackException
from typing import Final

from ..errors import OutputSchemaError, SubactorsError
from ..text import bounded, encodable, one_line

__all__ = ["LONGEST_REASON", "LONGEST_TRACEBACK", "describe_error", "own_traceback"]

LONGEST_REASON: Final = 10_000
"""Characters of a reason: it is in every list of tasks."""

LONGEST_TRACEBACK: Final = 8_000
"""Characters of a traceback: enough for some sixty frames, and little beside the output of a task."""

_MOST_MEMBERS: Final = 10
"""Exceptions of a group that a sentence names; the traceback has more of them."""

_DEEPEST: Final = 8
"""Groups and causes inside one another that a sentence follows."""

_LONGEST_PART: Final = 1_000
"""Characters of a member, a cause or a note in a sentence."""

_LIBRARY_FOLDERS: Final = frozenset({"site-packages", "dist-packages"})

_STANDARD_LIBRARY: Final = f"{Path(os.__file__).parent}{os.sep}"

_OURS: Final = tuple(f"{Path(__file__).parents[2] / name}{os.sep}" for name in ("actors", "runtime"))


def describe_error(error: BaseException) -> str:
    """Return type and message of an exception, with the members of a group, its causes and its notes.

    A cause whose message is in the exception's own is not said twice. Our own errors are whole sentences already.
    """
    return bounded(encodable(_described(error, ())), LONGEST_REASON)


def own_traceback(error: BaseException, targets: Iterable[str]) -> str:
    """Return the traceback with the frames of the user's own code only; empty if there are none.

    Frames of this package, of the standard library and of installed packages are left out. Code that is named by the
    team file is the user's own wherever it is installed.

    Args:
        error: the exception, with its causes and the members of a group.
        targets: `package.module:function` of each entrypoint and `python/` model of the task.
    """
    try:
        traceback = TracebackException.from_exception(error, compact=True)
        if not _keep_own_frames(traceback, tuple(_roots(targets)), _DEEPEST):
            return ""
        return bounded(encodable("".join(traceback.format())).rstrip(), LONGEST_TRACEBACK)
    except BaseException:  # noqa: BLE001 - an exception can break whoever looks at it; its sentence is told all the same
        return ""


def _described(error: BaseException, above: tuple[BaseException, ...]) -> str:
    text = _message(error)
    if isinstance(error, OutputSchemaError):
        return f"schema: {text}"  # without the name of the type, so that programs can look for it
    sentence = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if len(above) >= _DEEPEST:
        return sentence
    above = (*above, error)
    if isinstance(error, BaseExceptionGroup):
        members = [_part(member, above) for member in error.exceptions[:_MOST_MEMBERS]]
        more = len(error.exceptions) - len(members)
        sentence += f" ({'; '.join([*members, *([f'and {more} more'] if more else [])])})"
    cause = error.__cause__
    if cause is not None and cause not in above and not isinstance(error, SubactorsError):
        said = _message(cause)
        if not said or said not in text:
            sentence += f" (caused by {_part(cause, above)})"
    return "\n".join([sentence, *_notes(error)])


def _part(error: BaseException, above: tuple[BaseException, ...]) -> str:
    return one_line(_described(error, above), _LONGEST_PART)


def _message(error: BaseException) -> str:
    try:
        # Of exactly that type: a subclass may behave in any way.
        text = str.__str__(str(error))
        if isinstance(error, BaseExceptionGroup):
            # The members follow, so nobody needs to be told how many there are.
            count = len(error.exceptions)
            text = text.removesuffix(f" ({count} sub-exception{'' if count == 1 else 's'})")
    except BaseException:  # noqa: BLE001 - a broken __str__ must not hide the failure that it describes
        return "(the exception's text could not be made)"
    return text


def _notes(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", None)
    if not isinstance(notes, list | tuple):
        return []
    return [note[:_LONGEST_PART] for note in notes[:_MOST_MEMBERS] if isinstance(note, str)]


def _keep_own_frames(traceback: TracebackException, roots: tuple[str, ...], depth: int) -> bool:
    """Leave out all other frames, here and in what belongs to it; return whether any are left."""
    own = [frame for frame in traceback.stack if _is_own(frame.filename, roots)]
    traceback.stack[:] = own
    # Where a syntax error is says its text, not its frames. It alone has such text; to ask for the type is deprecated.
    found = bool(own) or hasattr(traceback, "offset")
    if not own:
        traceback.stack = None  # type: ignore[assignment]  # as the module itself does for an exception without frames
    if not depth:
        traceback.__cause__ = traceback.__context__ = None
        return found
    for part in (traceback.__cause__, traceback.__context__, *(traceback.exceptions or [])):
        if part is not None:
            found = _keep_own_frames(part, roots, depth - 1) or found
    return found


def _is_own(filename: str, roots: tuple[str, ...]) -> bool:
    if filename.startswith(roots):
        return True
    if filename.startswith(("<frozen ", _STANDARD_LIBRARY, *_OURS)):
        return False
    return _LIBRARY_FOLDERS.isdisjoint(Path(filename).parts)


def _roots(targets: Iterable[str]) -> Iterable[str]:
    """Return how the names of files begin that belong to the code that a team file names."""
    for target in targets:
        name = target.partition(":")[0]
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            yield file
        package = sys.modules.get(name.partition(".")[0])
        # A namespace, as this package is one, has no file, and may be shared with others.
        file = getattr(package, "__file__", None)
        if file is not None and hasattr(package, "__path__"):
            yield f"{Path(file).parent}{os.sep}"
