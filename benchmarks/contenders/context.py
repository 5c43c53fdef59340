"""`multiprocessing` over the zygote: the context of `subactors.actors`, used as that of the fork server is."""

from __future__ import annotations

from subactors.actors import ProcessSystem, get_context

from .stdlib import Processes

__all__ = ["Context"]


class Context(Processes):
    """A fork of the zygote, which has `openai` imported, as a `multiprocessing.Process`."""

    name = "context"
    title = "multiprocessing on subactors' zygote, preloaded"
    most_tasks = 1000

    def open(self, tasks: int = 1) -> None:
        """Choose what the zygote imports; it starts with the first task."""
        del tasks
        self._system = ProcessSystem(preload=["openai", "benchmarks.contenders.stdlib"])
        self._context = get_context(self._system)

    def close(self) -> None:
        """Kill what is left, and end the zygote."""
        super().close()
        self._system.close()
