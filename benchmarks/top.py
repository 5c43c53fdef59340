"""Top: what the screen of `subactors top` costs a tick, while tasks change five times a second.

    python -m benchmarks.top [--tasks 500] [--seconds 10]

The tasks are those of the stand-in for a host of `benchmarks.watching`, in a process of its own. The screen is the real
one, of 170 cells and 50 lines; what it would write to a terminal goes nowhere. A tick costs all CPU time of the thread
that draws, layout and lines included, over the number of ticks. Needs the extra `top`; without it, it says so.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import psutil

from .figures import print_figures

TARGETS: Final = {"tick, ms": 25.0}
"""What each is to be at most, with 500 tasks that change five times a second."""

SIZE: Final = (170, 50)


async def measure(root: Path, seconds: float) -> dict[str, float]:
    """Return the figures of the screen on a state folder."""
    from subactors.runtime.top.app import Top  # noqa: PLC0415 - an extra

    spans: list[float] = []

    class Timed(Top):
        def tick(self) -> None:
            began = time.thread_time()
            super().tick()
            spans.append((time.thread_time() - began) * 1000)

    app = Timed(root)
    async with app.run_test(size=SIZE) as pilot:
        while not app.listing.rows:
            await pilot.pause(0.05)
        await pilot.press("end", "o")
        await asyncio.sleep(2)
        spans.clear()
        before, all_before, began = time.thread_time(), time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        elapsed = time.monotonic() - began
        drawn, all_used = time.thread_time() - before, time.process_time() - all_before
        threads = threading.active_count()
        memory = psutil.Process().memory_info().rss / 1e6
    return {
        "tick, ms": drawn / len(spans) * 1000,
        "of it to take what has changed (p50), ms": statistics.median(spans),
        "ticks a second": len(spans) / elapsed,
        "thread that draws, cores": drawn / elapsed,
        "process, cores": all_used / elapsed,
        "process, MB": memory,
        "process, threads": float(threads),
    }


def main() -> int:
    """Measure, print a table, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    try:
        import textual  # noqa: F401, PLC0415 - an extra
    except ImportError:
        print("Textual is not installed here: pip install '.[top]'")
        return 0
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "benchmarks.watching", "--stand-in", root, "--tasks", str(given.tasks)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as host:
            assert host.stdout is not None  # noqa: S101 - it was asked for
            host.stdout.readline()
            try:
                figures = asyncio.run(measure(Path(root), given.seconds))
            finally:
                host.terminate()
    return print_figures(figures, TARGETS, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
