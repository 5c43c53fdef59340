"""Report: the figures of a bench, made of its samples; as JSON it can be compared with a later one."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from ..tasks.views import iso_time
from ..text import one_line
from .measure import Bench, Sample
from .work import OURS, Span, Work

__all__ = ["Figures", "Latency", "Report", "Spread", "read_report"]

_LONGEST_REASON: Final = 200


class Spread(msgspec.Struct, frozen=True):
    """A figure of several repeats: the median, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self | None:
        """Return that of some values; None if there are none."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1]) if found else None


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """A time of each task: percentiles of all tasks of all repeats, in seconds.

    Attributes:
        p50: the median.
        p95: that 95 of 100 tasks do not exceed.
        p99: the same for 99.
        repeats: the medians of the repeats.
    """

    p50: float
    p95: float
    p99: float
    repeats: Spread


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What fan-outs of one size take by one way. Times are in seconds, memory is in bytes.

    Attributes:
        way: the way.
        tasks: the size.
        repeats: how many fan-outs have ended.
        wall: from the first start to the last result.
        rate: completed tasks a second; its median is that of the tasks, divided by that of `wall`.
        start: from the moment when there is room for a task until it is at work; None if none ever was.
        output: from the same moment until its first output; None if there was none.
        cpu: CPU time of all processes together.
        peak: the most memory of all processes together that was seen.
        input_tokens: of one fan-out, on average.
        output_tokens: the same.
        cost: the same, in US dollars.
        failures: tasks that did not complete, of all repeats.
        reasons: why, and how such a program died, the most frequent first; five at most.
        rate_limits: how often a model's rate limit was met, in all repeats.
        deaths: fan-outs whose program died, with all of its tasks.
    """

    way: str
    tasks: int
    repeats: int
    wall: Spread | None
    rate: Spread | None
    start: Latency | None
    output: Latency | None
    cpu: Spread | None
    peak: Spread | None
    input_tokens: float
    output_tokens: float
    cost: float
    failures: int
    reasons: list[str]
    rate_limits: int
    deaths: int


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    python: str
    cores: int
    kernel: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report.

    Attributes:
        time: when it was made, as ISO 8601 has it, in UTC.
        version: of subactors.
        machine: where.
        work: what was done.
        concurrency: how many tasks were at work at a time.
        sizes: the numbers of tasks that were asked for.
        repeat: how often each was.
        complete: whether everything was measured that was asked for.
        figures: by size and way.
        missing: why a way was not measured.
        opening: seconds that each way took to be ready.
        idle: bytes of memory that each way takes without a task.
        timeline: the tasks of one fan-out by subactors, the largest that was measured.
    """

    time: str
    version: str
    machine: Machine
    work: Work
    concurrency: int
    sizes: list[int]
    repeat: int
    complete: bool
    figures: list[Figures]
    missing: dict[str, str]
    opening: dict[str, float]
    idle: dict[str, int]
    timeline: list[Span]

    @classmethod
    def of(cls, bench: Bench, work: Work, *, sizes: Sequence[int], repeat: int) -> Self:
        """Return that of a bench that is over, or was cancelled."""
        from importlib.metadata import version  # noqa: PLC0415 - takes a while

        groups: dict[tuple[int, str], list[Sample]] = {}
        for sample in bench.samples:
            groups.setdefault((sample.tasks, sample.way), []).append(sample)
        expected = {(size, way) for size in sizes for way in bench.ways if way not in bench.missing}
        return cls(
            time=iso_time(time.time()),
            version=version("subactors"),
            machine=Machine(
                python=platform.python_version(), cores=len(os.sched_getaffinity(0)), kernel=platform.release()
            ),
            work=work,
            concurrency=work.concurrency,
            sizes=list(sizes),
            repeat=repeat,
            complete=all(len(groups.get(key, ())) == repeat for key in expected),
            figures=[_figures(way, size, group) for (size, way), group in groups.items()],
            missing=bench.missing,
            opening=bench.opening,
            idle=bench.idle,
            timeline=_timeline(bench.samples),
        )

    def by(self, way: str) -> Mapping[int, Figures]:
        """Return the figures of a way, by size."""
        return {figures.tasks: figures for figures in self.figures if figures.way == way}


def read_report(path: Path) -> Report:
    """Return the report that is in a file.

    Raises:
        OSError: it cannot be read.
        msgspec.MsgspecError: it is none.
    """
    return msgspec.json.decode(path.read_bytes(), type=Report)


def _rate(completed: Sequence[tuple[int, float]]) -> Spread | None:
    """Return tasks a second, of fan-outs with so many completed tasks in so many seconds; the median as of both."""
    timed = [(number, wall) for number, wall in completed if wall > 0]
    spread = Spread.of(number / wall for number, wall in timed)
    if spread is None:
        return None
    numbers, walls = zip(*timed, strict=True)
    return msgspec.structs.replace(spread, median=statistics.median(numbers) / statistics.median(walls))


def _figures(way: str, size: int, samples: Sequence[Sample]) -> Figures:
    done = [(sample, sample.fan_out) for sample in samples if sample.fan_out is not None]
    fan_outs = [fan_out for _, fan_out in done]
    count = len(done) or 1
    failures = [span.failure for fan_out in fan_outs for span in fan_out.spans if span.failure]
    reasons: dict[str, int] = {}
    for failure in [*failures, *(sample.death for sample in samples if sample.death)]:
        reason = one_line(failure, _LONGEST_REASON)
        reasons[reason] = reasons.get(reason, 0) + 1
    completed = [(sum(not span.failure for span in fan_out.spans), fan_out.wall) for fan_out in fan_outs]
    return Figures(
        way=way,
        tasks=size,
        repeats=len(done),
        wall=Spread.of(fan_out.wall for fan_out in fan_outs),
        rate=_rate(completed),
        start=_latency([[_since(span.began, span) for span in fan_out.spans] for fan_out in fan_outs]),
        output=_latency([[_since(span.said, span) for span in fan_out.spans] for fan_out in fan_outs]),
        cpu=Spread.of(sample.cpu for sample, _ in done),
        peak=Spread.of(sample.peak for sample, _ in done),
        input_tokens=sum(fan_out.input_tokens for fan_out in fan_outs) / count,
        output_tokens=sum(fan_out.output_tokens for fan_out in fan_outs) / count,
        cost=sum(fan_out.cost for fan_out in fan_outs) / count,
        failures=len(failures),
        reasons=sorted(reasons, key=reasons.__getitem__, reverse=True)[:5],
        rate_limits=sum(fan_out.rate_limits for fan_out in fan_outs),
        deaths=len(samples) - len(done),
    )


def _since(moment: float | None, span: Span) -> float | None:
    """Return how long after its slot something came; clocks of two processes may differ by some microseconds."""
    return None if moment is None else max(0.0, moment - span.slot)


def _latency(repeats: Sequence[Sequence[float | None]]) -> Latency | None:
    known = [[value for value in values if value is not None] for values in repeats]
    every = sorted(value for values in known for value in values)
    medians = Spread.of(statistics.median(values) for values in known if values)
    if medians is None:
        return None
    p50, p95, p99 = (every[math.ceil(share * len(every)) - 1] for share in (0.5, 0.95, 0.99))
    return Latency(p50=p50, p95=p95, p99=p99, repeats=medians)


def _timeline(samples: Sequence[Sample]) -> list[Span]:
    """Return the tasks of the fan-out that is shown: the median one of the largest size."""
    ours = [(sample.tasks, sample.fan_out) for sample in samples if sample.way == OURS and sample.fan_out is not None]
    largest = max((tasks for tasks, _ in ours), default=0)
    fan_outs = sorted((fan_out for tasks, fan_out in ours if tasks == largest), key=lambda fan_out: fan_out.wall)
    return fan_outs[(len(fan_outs) - 1) // 2].spans if fan_outs else []
