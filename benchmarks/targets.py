"""Targets: what must be reached, in one table, and whether it is.

Bounds were set on one machine, whose floor is known. Where a bound hangs on how fast a machine forks, it is `scaled`:
here it is as many times the floor that was measured here as it was of the floor there. Where the floor is how long the
kernel takes to end a process, it is `shifted`: here it is as many seconds above the floor as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from .results import Measurement, Results

__all__ = ["TARGETS", "Target", "Value", "Verdict", "judge"]

_MS: Final = 1e-3
_MB: Final = 1e6
_GROWTH: Final = 1.5
"""By how much the cost of a task may rise from 10 to 1000."""

Statistic = Literal["p50", "p95", "p99"]


@dataclass(frozen=True)
class Value:
    """One figure of the results.

    Attributes:
        contenders: whose; of several the first that was measured.
        tasks: at how many tasks; 0 where that is not varied.
        per_task: it is the cost of all of them, and is divided by their number.
    """

    metric: str
    contenders: tuple[str, ...]
    tasks: int = 0
    statistic: Statistic = "p50"
    per_task: bool = False

    def of(self, results: Results) -> float | None:
        """Return it; None if it was not measured, or not kept."""
        measured = self.measurement(results)
        if measured is None:
            return None
        value: float | None = getattr(measured, self.statistic)
        return value / self.tasks if self.per_task and value is not None else value

    def measurement(self, results: Results) -> Measurement | None:
        """Return what it is taken from."""
        for name in self.contenders:
            found = results.find(self.metric, name, self.tasks)
            if found is not None:
                return found
        return None


@dataclass(frozen=True)
class Target:
    """One thing that must be reached.

    Attributes:
        bound: in the metric's unit; or a factor, where there is something to be `times`.
        text: the bound in words.
        times: the figure that the bound is a factor of.
        scaled: the floor's metric whose value here, against `there`, the bound is scaled by.
        shifted: the floor's metric whose value here, beyond `there`, is added to the bound.
        there: what the floor was on the machine for which the bound was set.
        at_least: the bound is the least, not the most.
    """

    title: str
    value: Value
    bound: float
    text: str
    times: Value | None = None
    scaled: Value | None = None
    shifted: Value | None = None
    there: float = 1.0
    at_least: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a target comes to: the bound on this machine, and whether it is met; None where it was not measured."""

    title: str
    text: str
    unit: str
    bound: float | None
    measured: float | None
    met: bool | None


_BEST: Final = ("subactors-standby", "subactors")
_PLAIN: Final = ("subactors",)
_FLOOR: Final = ("floor",)
_START: Final = Value("start", _FLOOR)


def _fan_out(tasks: int, bound: float, there: float) -> Target:
    return Target(
        f"fan-out of {tasks} one-second tasks, over 1 s",
        Value("fan-out", _BEST, tasks),
        bound,
        f"at most {bound:g} s (floor there {there:g} s)",
        scaled=Value("fan-out", _FLOOR, tasks),
        there=there,
    )


def _times_the_floor(title: str, metric: str, factor: float, tasks: int = 0, statistic: Statistic = "p50") -> Target:
    return Target(
        title,
        Value(metric, _BEST, tasks, statistic),
        factor,
        f"at most {factor:g} times the floor",
        times=Value(metric, _FLOOR, tasks),
    )


def _no_later(title: str, metric: str, than: str, contenders: tuple[str, ...], tasks: int = 0) -> Target:
    """Return a target for what may come 0.3 ms later than something else of the same run."""
    return Target(
        title,
        Value(metric, contenders, tasks),
        0.3 * _MS,
        f"at most 0.3 ms more than {than}",
        shifted=Value(than, contenders, tasks),
        there=0.0,
    )


def _starts(title: str, standing_by: str, alone: str) -> list[Target]:
    found = []
    for how, name, factor in (("standing by", standing_by, 1.0), ("none standing by", alone, 3.0)):
        own = Value("start", (name,))
        p95 = Value("start", (name,), statistic="p95")
        words = "at most the floor" if factor == 1.0 else f"at most {factor:g} times the floor"
        found += [
            Target(f"{title}, {how}: p50", own, factor, words, times=_START),
            Target(f"{title}, {how}: p95", p95, 2.0, "at most twice its p50", times=own),
        ]
    return found


def _beside_a_flood(what: str) -> Target:
    quiet = Value(f"{what}, quiet", _PLAIN)
    flooded = Value(f"{what}, flooded", _PLAIN)
    return Target(f"{what}, beside a flood", flooded, 2.0, "at most twice as without it", times=quiet)


def _grows(metric: str, *, per_task: bool = False) -> Target:
    return Target(
        f"{metric}: cost per task at 1000 against 10",
        Value(metric, _PLAIN, 1000, per_task=per_task),
        _GROWTH,
        f"at most {_GROWTH:g} times",
        times=Value(metric, _PLAIN, 10, per_task=per_task),
    )


def _at_most(title: str, value: Value, bound: float, text: str) -> Target:
    return Target(title, value, bound, f"at most {text}")


_IMPORT: Final = Value("cold start: import openai", _FLOOR)
_TIMES_THE_IMPORT: Final = "at most 1.3 times import openai"
_ACROSS: Final = "round trip between two cores"


def _against_the_fork_server(title: str, metric: str, tasks: int, times: float) -> Target:
    return Target(
        title,
        Value(metric, ("context",), tasks),
        1 / times,
        f"at least {times:g} times as fast as with the fork server",
        times=Value(metric, ("forkserver",), tasks),
    )


TARGETS: Final[tuple[Target, ...]] = (
    _at_most("run returns, 20 tasks alive: p50", Value("run returns", _BEST, 20), 0.5 * _MS, "0.5 ms"),
    _at_most("run returns, 20 tasks alive: p99", Value("run returns", _BEST, 20, "p99"), 2 * _MS, "2 ms"),
    _at_most(
        "run returns, 20 tasks alive, without rest: p50",
        Value("run returns, without rest", _BEST, 20),
        0.5 * _MS,
        "0.5 ms",
    ),
    _at_most(
        "run returns, 20 tasks alive, without rest: p99",
        Value("run returns, without rest", _BEST, 20, "p99"),
        2 * _MS,
        "2 ms",
    ),
    _no_later("submit returns", "submit returns", "run returns, in turn", _BEST, 20),
    _no_later("submit of a closure returns", "submit of a closure returns", "run returns, in turn", _BEST, 20),
    *_starts("start", "subactors-standby", "subactors"),
    _times_the_floor("start, back to back: p50", "start, back to back", 2.0),
    _times_the_floor("start, back to back: p95, of the floor's p50", "start, back to back", 4.0, statistic="p95"),
    *_starts("start, actor layer", "actors-standby", "actors"),
    _at_most("start of an LLM task: p50", Value("llm start", _BEST), 12 * _MS, "12 ms"),
    _at_most("start of an LLM task: p95", Value("llm start", _BEST, statistic="p95"), 25 * _MS, "25 ms"),
    _fan_out(20, 0.06, 0.025),
    _fan_out(100, 0.25, 0.13),
    _fan_out(500, 1.2, 0.58),
    *(
        _times_the_floor(f"fan-out of {count} without rest", "fan-out without rest", 1.8, count)
        for count in (20, 100, 500)
    ),
    _times_the_floor("map of 1000, a process for each item", "map, a process for each item", 2.5, 1000),
    Target(
        "map of 1000 in chunks of 50",
        Value("map, in chunks of 50", _BEST, 1000),
        1.5,
        "at most 1.5 times a pool of processes",
        times=Value("map, in chunks of 50", ("executor",), 1000),
    ),
    _at_most("memory of a pending await", Value("memory of a pending await", _PLAIN, 1000), 2000.0, "2 kB"),
    _at_most("threads of 1000 pending awaits", Value("threads of pending awaits", _PLAIN, 1000), 0.0, "none"),
    _no_later("an end reaches an await", "an end reaches an await", "an end reaches a wait", _PLAIN),
    Target("fan-out of 1000", Value("fan-out", _BEST, 1000), float("inf"), "works"),
    Target(
        "ask and reply, between two cores",
        Value(_ACROSS, ("actors",)),
        2.5,
        "at most 2.5 times the floor",
        times=Value(_ACROSS, _FLOOR),
    ),
    Target("output into the journal", Value("stream", _PLAIN), 200.0, "at least 200 MB/s", at_least=True),
    _beside_a_flood("start to end"),
    _beside_a_flood("view"),
    _beside_a_flood("stop"),
    _at_most("stop, cooperative", Value("stop", _PLAIN), 5 * _MS, "5 ms"),
    _at_most(
        "stop, refused", Value("stop, refused: beyond the grace period", _PLAIN), 10 * _MS, "the grace period and 10 ms"
    ),
    Target(
        "a crash known",
        Value("crash", _PLAIN),
        2.5 * _MS,
        "at most 2.5 ms where the floor is 0.3 ms, so 2.2 ms beyond it",
        shifted=Value("crash", _FLOOR),
        there=0.3 * _MS,
    ),
    _at_most("memory per idle task, of 100", Value("memory per idle task", _PLAIN, 100), 2.5 * _MB, "2.5 MB"),
    _at_most("memory per idle LLM task, of 100", Value("memory per idle LLM task", _PLAIN, 100), 7 * _MB, "7 MB"),
    Target(
        "cold start of a host script",
        Value("cold start", _PLAIN),
        1.3,
        _TIMES_THE_IMPORT,
        times=_IMPORT,
    ),
    Target(
        "cold start of a host script, LLM agent",
        Value("cold start, LLM agent", _PLAIN),
        1.3,
        _TIMES_THE_IMPORT,
        times=_IMPORT,
    ),
    _against_the_fork_server("executor of 2 workers up", "executor up", 2, 2),
    _against_the_fork_server("executor of 8 workers up", "executor up", 8, 2),
    _against_the_fork_server("a process for each of 100 tasks", "a process for each task", 100, 5),
    _at_most("subactors --help", Value("subactors --help", _PLAIN), 150 * _MS, "150 ms"),
    _at_most("subactors ps", Value("subactors ps", _PLAIN), 250 * _MS, "250 ms"),
    _at_most("list of 10,000 remembered tasks", Value("list", _PLAIN, 10_000), 5 * _MS, "5 ms"),
    _at_most(
        "list of 1000 tasks of which 100 run",
        Value("list, a tenth of them running", _PLAIN, 1000),
        5 * _MS,
        "5 ms",
    ),
    _at_most("view among 10,000 remembered tasks", Value("view", _PLAIN, 10_000), 5 * _MS, "5 ms"),
    _at_most(
        "host memory per remembered task", Value("host memory per remembered task", _PLAIN, 10_000), 4000.0, "4 kB"
    ),
    _at_most("host CPU with 100 idle tasks", Value("host CPU, idle tasks", _PLAIN, 100), 1.0, "1 % of a core"),
    _grows("fan-out", per_task=True),
    _grows("run returns"),
    _grows("memory per idle task"),
    _grows("list", per_task=True),
    _grows("view"),
)


def judge(results: Results) -> list[Verdict]:
    """Hold results against every target, and against what isolation has to be."""
    return [*(_judge(target, results) for target in TARGETS), *_isolation(results)]


def _judge(target: Target, results: Results) -> Verdict:
    measurement = target.value.measurement(results)
    measured = target.value.of(results)
    bound: float | None = target.bound if measured is not None else None
    for other, divisor in ((target.times, 1.0), (target.scaled, target.there)):
        if other is not None:
            value = other.of(results)
            bound = None if bound is None or value is None else bound * value / divisor
    if target.shifted is not None:
        value = target.shifted.of(results)
        bound = None if bound is None or value is None else bound + value - target.there
    met = None
    if measured is not None and bound is not None:
        met = measured >= bound if target.at_least else measured <= bound
    return Verdict(target.title, target.text, measurement.unit if measurement else "", bound, measured, met)


def _isolation(results: Results) -> list[Verdict]:
    cells = [cell for cell in results.isolation if cell.contender == "subactors"]
    spread = sum(cell.verdict != "contained" for cell in cells) if cells else None
    left = next((each.left for each in results.left_behind if each.contender == "subactors"), None)
    return [
        Verdict(title, "none", "", 0, count, None if count is None else count == 0)
        for title, count in (
            ("faults that are not contained", spread),
            ("processes left 5 s after the host was killed", left),
        )
    ]
