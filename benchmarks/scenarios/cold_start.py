"""From the start of a host's program to the first result in it, against `python -c 'import openai'`."""

from __future__ import annotations

import subprocess
import sys
from time import monotonic
from typing import Final

from ..contenders.base import Contender
from ..model_server import ModelServer
from ..results import Recorder
from .base import Scenario, Size

__all__ = ["SCENARIO"]

_END: Final = "\nfrom time import monotonic\nprint(monotonic(), flush=True)\n"

_RUNTIME: Final = """
import os, sys, tempfile
from subactors.runtime import Runtime
team = {"agents": {"worker": {AGENT}}, "models": {"answer": {"provider": "openai", "model": "answer",
        "base_url": sys.argv[1], "token_key": "SUBACTORS_BENCHMARK_KEY"}}}
with tempfile.TemporaryDirectory() as state, Runtime.from_mapping(team, state_dir=state) as runtime:
    view = runtime.wait([runtime.run("worker", "speak")])[0]
    assert view.status == "completed", view
    from time import monotonic
    print(monotonic(), flush=True)
"""

_FORKSERVER: Final = """
import multiprocessing
from benchmarks.work import run
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["openai"])
ours, theirs = context.Pipe()
process = context.Process(target=run, args=("speak", theirs.send))
process.start()
ours.recv()
process.join()
"""

_SCRIPTS: Final = {
    "floor": {"cold start: import openai": "import openai" + _END},
    "subactors": {
        "cold start": _RUNTIME.replace("{AGENT}", '{"entrypoint": "benchmarks.work:serve_plainly"}'),
        "cold start, LLM agent": _RUNTIME.replace("{AGENT}", '{"model": "answer", "instruction": "Answer."}'),
    },
    "forkserver": {"cold start": _FORKSERVER + _END},
}


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Run each script so many times, one after the other."""
    with ModelServer() as server:
        for _ in range(size.samples):
            for metric, script in _SCRIPTS[contender.name].items():
                began = monotonic()
                # `-c` has no main module that a fork server could import again; a file would add to its time.
                done = subprocess.run(
                    [sys.executable, "-c", script, server.base_url], stdout=subprocess.PIPE, text=True, check=True
                )
                record.add(metric, float(done.stdout) - began, "s")


SCENARIO = Scenario(
    "cold-start",
    "cold start of a host script to its first result",
    measure,
    ("floor", "subactors", "forkserver"),
    full=Size(rounds=5, samples=4),
    quick=Size(rounds=1, samples=2),
)
