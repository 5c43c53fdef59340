"""What an idle task costs in memory: unique set size (USS) of its processes, and by how much everything has grown."""

from __future__ import annotations

import os
from typing import Final

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..model_server import ModelServer
from ..processes import descendants, node_agents, proportional_memory, unique_memory
from ..results import Recorder
from .base import ALL, Scenario, Size, come_to_rest

__all__ = ["LLM_SCENARIO", "SCENARIO"]

_BEFORE: Final = "memory of host and all that serves it, before these tasks"


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Have so many plain tasks idle."""
    (count,) = size.tasks
    contender.open(count)
    if isinstance(contender, Subactors):
        contender.listen()
    if not contender.reuses_processes:
        contender.start("speak").outcome()
        come_to_rest(contender)
    before = _everything()
    tasks = [contender.start("idle") for _ in range(count)]
    for task in tasks:
        task.first_message()
    _record(record, "memory per idle task", count, before)


def measure_llm(contender: Contender, size: Size, record: Recorder) -> None:
    """Have so many LLM tasks wait for their model's second answer."""
    (count,) = size.tasks
    with ModelServer() as server:
        if isinstance(contender, Subactors):
            contender.open(count, base_url=server.base_url)
        else:
            contender.open(count)
        contender.start("llm", server.base_url).outcome()
        server.next_request()
        come_to_rest(contender)
        before = _everything()
        tasks = [contender.start("llm_idle", server.base_url) for _ in range(count)]
        contender.meanwhile(lambda: _wait_for_requests(server, 2 * count))
        _record(record, "memory per idle LLM task", count, before)
        del tasks
        contender.close()


def _wait_for_requests(server: ModelServer, count: int) -> None:
    for _ in range(count):
        server.next_request()


def _everything() -> dict[int, int]:
    """Return the proportional memory of this process, of all below it, and of all nodes, by process id."""
    roots = [os.getpid(), *node_agents()]
    pids = {*roots, *(process.pid for root in roots for process in descendants(root))}
    return {pid: proportional_memory(pid) for pid in pids}


def _record(record: Recorder, metric: str, count: int, before: dict[int, int]) -> None:
    after = _everything()
    new = sum(unique_memory(pid) for pid in after if pid not in before)
    record.add(metric, new / count, "B", tasks=count)
    record.add(f"{_BEFORE} (PSS)", sum(before.values()), "B", tasks=count)
    grown = sum(after.values()) - sum(before.values())
    record.add(f"{metric}, by growth of everything (PSS)", grown / count, "B", tasks=count)


SCENARIO = Scenario(
    "memory",
    "memory per idle task (USS)",
    measure,
    ALL,
    full=Size(rounds=2, samples=1, tasks=(10, 100, 500, 1000)),
    quick=Size(rounds=1, samples=1, tasks=(50,)),
)

LLM_SCENARIO = Scenario(
    "llm-memory",
    "memory per idle LLM task that has talked to its server (USS)",
    measure_llm,
    ("floor", "subactors", "forkserver", "spawn", "asyncio"),
    full=Size(rounds=2, samples=1, tasks=(100,)),
    quick=Size(rounds=1, samples=1, tasks=(20,)),
)
