"""From the dispatch of an LLM task to the first byte of its request at a model server on loopback."""

from __future__ import annotations

from time import monotonic

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..model_server import ModelServer
from ..results import Recorder
from .base import Scenario, Size, come_to_rest, pause

__all__ = ["SCENARIO"]

_SLOW = 0.3
_FEW = 5


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Start one task after the other; each has its answer before the next is started."""
    with ModelServer() as server:
        if isinstance(contender, Subactors):
            contender.open(1, base_url=server.base_url)
        else:
            contender.open(1)
        contender.start("llm", server.base_url).outcome()
        server.next_request()
        come_to_rest(contender)
        for sample in range(size.samples):
            pause(contender)
            began = monotonic()
            task = contender.start("llm", server.base_url)
            task.outcome()  # coroutines of this process need its loop to run
            took = server.next_request() - began
            record.add("llm start", took, "s")
            if took > _SLOW and sample >= _FEW:
                return
        contender.close()


SCENARIO = Scenario(
    "llm-start",
    "start of an LLM task: dispatch to the first byte of its request at the server",
    measure,
    ("floor", "subactors", "subactors-standby", "forkserver", "spawn", "asyncio"),
    full=Size(rounds=4, samples=30),
    quick=Size(rounds=1, samples=10),
)
