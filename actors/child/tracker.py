"""Tracker: the resource tracker of an actor's process; the host's, or one that the host starts (`host/tracker`)."""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING, Any, Final

from ..wire.inheritance import received_descriptors
from ..wire.messages import STARTED, TrackerWanted
from .channel import ChildChannel, given_start, serving

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["adopt"]

_PATIENCE: Final = 2000
"""Milliseconds in which the host starts a tracker, before the actor starts one itself."""

_LONGEST_PATH: Final = 64
"""Bytes of the path to the host's tracker."""


def adopt(module: ModuleType) -> None:
    """Have `multiprocessing.resource_tracker` use the host's tracker, or one that the host starts for this process.

    Called once, when that is imported, by the zygote or by an actor; what it replaces looks at the moment of its use.
    """
    tracker: Any = module._resource_tracker  # noqa: SLF001 - it is what the module's functions are methods of, since 3.4
    ensure_running, send = tracker.ensure_running, tracker._send  # noqa: SLF001 - the same

    def prepare() -> None:
        start, channel = given_start(), serving[0] if serving else None
        if tracker._fd is None and start is not None and channel is not None and not channel.is_forked:  # noqa: SLF001
            given = received_descriptors[start.tracker] if start.tracker is not None else _ask(channel)
            tracker._fd = given  # noqa: SLF001 - None where there is none

    def prepare_and_ensure() -> Any:
        prepare()
        return ensure_running()

    def prepare_and_send(*arguments: Any) -> Any:
        prepare()
        return send(*arguments)

    tracker.ensure_running = module.ensure_running = prepare_and_ensure  # type: ignore[attr-defined]  # it has it
    tracker._send = prepare_and_send  # noqa: SLF001 - the same


def _ask(channel: ChildChannel) -> int | None:
    """Return the way to a tracker that the host has, or starts; None if there is none."""
    reader, writer = os.pipe()
    answer, theirs = os.pipe()
    channel.send(TrackerWanted(reader, theirs))
    poll = select.poll()
    poll.register(answer, select.POLLIN)
    if not poll.poll(_PATIENCE):
        # All stay open: the host may come to them yet, and must not find another pipe under the number of one of them.
        return None
    told = os.read(answer, _LONGEST_PATH)
    for descriptor in (reader, answer, theirs):
        os.close(descriptor)
    if told == STARTED:
        return writer
    os.close(writer)
    with contextlib.suppress(OSError):
        return os.open(told, os.O_WRONLY | os.O_CLOEXEC)
    return None
