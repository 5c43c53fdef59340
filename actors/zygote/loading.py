"""Loading: the imports of the zygote before its first fork, for all actors to share."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from ..linux import kernel
from ..wire.messages import Configuration, PreloadFailed, error_data

__all__ = ["load", "load_late"]

_WHILE_LOADING: Final = 1_000_000
"""New objects after which the collector looks at all of them. What modules make is there to stay, a tenth of that for
`openai`; to look at it again and again is a tenth of the time of its import."""


def load(configuration: Configuration) -> Iterator[PreloadFailed]:
    """Import it, and put the actors' own folders on the path; yields what fails of what comes from there.

    What is installed is imported first, so that nothing in those folders stands in for a part of it.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(_WHILE_LOADING)
    # Standard output may be where the host answers, to a program that reads it.
    with kernel.silenced():
        for _ in _failures(configuration.preload):
            pass
        sys.path[:0] = map(os.fsdecode, configuration.folders)
        yield from _failures(configuration.late_preload)
    if configuration.late_preload:
        # What they have dropped may hold files. The modules above drop nothing that does, and a look takes a while.
        gc.collect()
    # Objects outside the collector's lists are not written to by a collection in a child, so their pages stay shared;
    # and the next collection here, which would be due at once, need not look at them.
    gc.freeze()
    gc.set_threshold(*thresholds)


def load_late(entry: str) -> None:
    """Import a module between two forks; what fails fails again in the actors that need it."""
    with kernel.silenced():
        for _ in _failures([entry]):
            pass
    gc.freeze()


def _failures(modules: Sequence[str]) -> Iterator[PreloadFailed]:
    """Import modules, each whatever becomes of the others; yields those that fail.

    They fail again, with their traceback, in the actor that needs them.
    """
    for entry in modules:
        name, _, function = entry.partition(":")
        try:
            module = importlib.import_module(name)
            if function:
                getattr(module, function)()
        except BaseException as error:  # noqa: BLE001 - it may be anything: a script without a guard exits
            yield PreloadFailed(entry, error_data(error))
