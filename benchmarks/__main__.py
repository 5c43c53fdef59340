"""The runner: `python -m benchmarks`, from the root of the repository. See README.md beside this file.

It starts a host for each scenario, contender and round, the contenders in turn, puts together what they say, and ends
whatever a host has left behind. It measures nothing itself.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
import sys
import time
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from .contenders import CONTENDERS, contender_class
from .isolation import QUICK, isolation, left_behind
from .processes import exit_on_signals
from .programs import run_host
from .report import CHECK_HELP, is_short, targets_text, write
from .results import Results, Skipped, machine, summarise, versions
from .scenarios import NODE_SCENARIOS, SCENARIOS
from .scenarios.base import Scenario, Size
from .targets import judge

__all__ = ["Run", "main"]

_QUICK_SECONDS: Final = 80.0
"""After this long a quick run starts nothing more but the isolation matrix."""

_ROUNDS_OF_SLOW_ONES: Final = 2
_SMOKE_TASKS: Final = 2
_ISOLATION: Final = "isolation"
_FULL_ONLY: Final = "left to the full run"
_SLOW_ONES_IN_QUICK: Final = frozenset({"start", "fan-out", "round-trip"})
_SAME_PROCESSES: Final = frozenset({"subactors-standby", "actors-standby"})
"""Contenders whose processes end as those of others do, and need no row of their own in the matrix."""


class Run:
    """One run of the benchmarks: which scenarios and contenders, and what came of them so far."""

    def __init__(
        self,
        scenarios: list[str],
        contenders: list[str],
        *,
        quick: bool,
        smoke: bool = False,
        rounds: int | None = None,
    ) -> None:
        self._scenarios = [{**SCENARIOS, **NODE_SCENARIOS}[name] for name in scenarios if name != _ISOLATION]
        self._isolation = _ISOLATION in scenarios
        self._quick = quick
        self._smoke = smoke
        self._rounds = rounds
        self._began = time.monotonic()
        self.results = Results(machine=machine(), versions=versions(), quick=quick)
        self._contenders = []
        for name in contenders:
            missing = contender_class(name).missing()
            if missing:
                self._skip("all", name, missing)
            else:
                self._contenders.append(name)

    def measure(self) -> Results:
        """Run all of it."""
        slow = [name for name in self._contenders if self._quick and contender_class(name).slow]
        # In a quick run the slow ones come last: they may use up the time that there is.
        for names in ([name for name in self._contenders if name not in slow], slow):
            for scenario in self._scenarios:
                self._measure(scenario, [name for name in names if name in scenario.contenders])
        if self._isolation:
            self._measure_isolation()
        self.results.seconds = time.monotonic() - self._began
        return self.results

    def _measure_isolation(self) -> None:
        names = [name for name in self._contenders if name not in _SAME_PROCESSES]
        print("left behind by a killed host", file=sys.stderr, flush=True)
        self.results.left_behind = left_behind(name for name in names if not self._is_for_full_run("left", name))
        print("isolation", file=sys.stderr, flush=True)
        chosen = [name for name in names if not self._quick or name in QUICK]
        for name in names:
            if name not in chosen:
                self._skip("isolation", name, _FULL_ONLY)
        self.results.isolation = isolation(chosen)

    def _is_for_full_run(self, scenario: str, name: str) -> bool:
        return self._quick and contender_class(name).slow and scenario not in _SLOW_ONES_IN_QUICK

    def _measure(self, scenario: Scenario, names: list[str]) -> None:
        if not names:
            return
        print(f"{scenario.title}", file=sys.stderr, flush=True)
        size = self._size_of(scenario)
        values: dict[tuple[str, str, int, str], list[list[float]]] = defaultdict(list)
        out: set[tuple[str, int]] = set()
        for name in [name for name in names if self._is_for_full_run(scenario.name, name)]:
            names.remove(name)
            self._skip(scenario.name, name, _FULL_ONLY)
        for number in range(size.rounds):
            turn = [name for name in names if number < _ROUNDS_OF_SLOW_ONES or not contender_class(name).slow]
            for name, tasks in itertools.product(turn, size.tasks or (0,)):
                if (name, tasks) in out:
                    continue
                why = self._too_much(scenario, name, tasks)
                if not why:
                    why = self._one(scenario, name, replace(size, tasks=(tasks,) if tasks else ()), number, values)
                if why:
                    out.add((name, tasks))
                    self._skip(scenario.name, name, why)
        for (name, metric, tasks, unit), rounds in values.items():
            measured = summarise(scenario.name, name, metric, tasks=tasks, unit=unit, rounds=rounds)
            self.results.measurements.append(measured)

    def _size_of(self, scenario: Scenario) -> Size:
        size = scenario.quick if self._quick else scenario.full
        if self._rounds is not None:
            size = replace(size, rounds=min(size.rounds, self._rounds))
        if self._smoke:
            size = replace(size, rounds=1, samples=2, tasks=size.tasks[:1] and (_SMOKE_TASKS,), seconds=0.2)
        return size

    def _too_much(self, scenario: Scenario, name: str, tasks: int) -> str:
        """Say why a host is not even started; empty if it is."""
        contender = contender_class(name)
        most = contender.most_tasks_quick if self._quick else contender.most_tasks
        if tasks > most and scenario.at_once:
            return f"{tasks} tasks at once would take minutes or gigabytes; not tried beyond {most}"
        if self._quick and time.monotonic() - self._began > _QUICK_SECONDS:
            return "the two minutes of a quick run were over"
        return ""

    def _one(
        self,
        scenario: Scenario,
        name: str,
        size: Size,
        number: int,
        values: dict[tuple[str, str, int, str], list[list[float]]],
    ) -> str:
        """Run one host and add its values; returns why it is not to be run again, or nothing."""
        ended = run_host([scenario.name, name], json.dumps(asdict(size)), scenario.limit)
        added: dict[tuple[str, str, int, str], list[float]] = defaultdict(list)
        why = ""
        for line in ended.lines:
            if "metric" in line:
                added[name, line["metric"], line["tasks"], line["unit"]].append(line["value"])
            elif "skipped" in line:
                why = line["skipped"]
        for key, measured in added.items():
            values[key].append(measured)
            each = summarise("", key[0], key[1], tasks=key[2], unit=key[3], rounds=[measured])
            print(
                f"  {number + 1} {name:18} {key[1]:24} {key[2] or '':5} p50 {each.p50:.6g} {key[3]}  ({each.count})",
                file=sys.stderr,
                flush=True,
            )
        return why or ended.fault

    def _skip(self, scenario: str, contender: str, why: str) -> None:
        print(f"  {contender}: skipped: {why}", file=sys.stderr, flush=True)
        self.results.skipped.append(Skipped(scenario, contender, why))


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures subactors and its peers on this machine. Run it from the root of the repository.",
    )
    parser.add_argument("--smoke", action="store_true", help="the smallest numbers, to see that it works")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, in about two minutes")
    parser.add_argument("--rounds", metavar="N", type=int, help="at most so many rounds of each scenario")
    names = [*SCENARIOS, _ISOLATION]
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=names, help=f"a scenario of {', '.join(names)}; repeatable"
    )
    parser.add_argument("--peers", metavar="A,B", help=f"of {', '.join(CONTENDERS)}; all that are installed by default")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to this file")
    parser.add_argument(
        "--report", action="store_true", help="write results.json, RESULTS.md and pictures/ beside this program"
    )
    parser.add_argument("--check", action="store_true", help=CHECK_HELP)
    given = parser.parse_args()
    exit_on_signals()
    contenders = given.peers.split(",") if given.peers else list(CONTENDERS)
    unknown = [name for name in contenders if name not in CONTENDERS]
    if unknown:
        parser.error(f"no contender {', '.join(unknown)}; there are {', '.join(CONTENDERS)}")
    run = Run(given.only or names, contenders, quick=given.quick, smoke=given.smoke, rounds=given.rounds)
    results = run.measure()
    results.command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    results.partial = bool(given.only or given.peers or given.quick or given.smoke)
    if given.json is not None:
        results.save(given.json)
    verdicts = judge(results)
    print(targets_text(verdicts, partial=results.partial))
    if given.report:
        write(results)
    return int(given.check and is_short(results, verdicts))


if __name__ == "__main__":
    sys.exit(main())
