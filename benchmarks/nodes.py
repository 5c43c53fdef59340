"""Nodes: tasks on nodes against local tasks and bare Ray actors; `python -m benchmarks.nodes [--json FILE]`.

All in one run and in turn, as in `python -m benchmarks`, whose runner it uses. What is not installed is skipped with a
word. Targets are printed as met or missed.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Final

from .__main__ import Run
from .nodes_page import CONTENDERS, judge, page, text
from .results import Results
from .scenarios import NODE_SCENARIOS

__all__ = ["main"]

_HERE: Final = Path(__file__).parent
_DATA: Final = _HERE / "nodes.json"
_PAGE: Final = _HERE / "NODES.md"


def main() -> int:
    """Parse the command line, and run; the exit status is 1 if `--check` is given and a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nodes",
        description="Measures tasks on nodes on this machine. Run it from the root of the repository.",
    )
    parser.add_argument("--smoke", action="store_true", help="the smallest numbers, to see that it works")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, in about two minutes")
    parser.add_argument("--rounds", metavar="N", type=int, help="at most so many rounds of each scenario")
    parser.add_argument("--only", metavar="NAME", action="append", choices=list(NODE_SCENARIOS), help="one scenario")
    parser.add_argument("--peers", metavar="A,B", help=f"of {', '.join(CONTENDERS)}; all that there are by default")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to this file")
    parser.add_argument("--report", action="store_true", help="write nodes.json and NODES.md beside this program")
    parser.add_argument("--page", action="store_true", help="measure nothing; write NODES.md again from nodes.json")
    parser.add_argument("--check", action="store_true", help="exit status 1 if a target is missed")
    given = parser.parse_args()
    if given.page:
        _PAGE.write_text(page(Results.load(_DATA)))
        return 0
    peers = given.peers.split(",") if given.peers else list(CONTENDERS)
    if unknown := [name for name in peers if name not in CONTENDERS]:
        parser.error(f"no contender {', '.join(unknown)}; there are {', '.join(CONTENDERS)}")
    run = Run(given.only or list(NODE_SCENARIOS), peers, quick=given.quick, smoke=given.smoke, rounds=given.rounds)
    results = run.measure()
    results.command = shlex.join(["python", "-m", "benchmarks.nodes", *sys.argv[1:]])
    results.partial = bool(given.only or given.peers or given.quick or given.smoke)
    if given.json is not None:
        results.save(given.json)
    if given.report:
        results.save(_DATA)
        _PAGE.write_text(page(results))
    judged = judge(results)
    print(text(judged))
    return int(given.check and not all(each.is_met for each in judged))


if __name__ == "__main__":
    sys.exit(main())
