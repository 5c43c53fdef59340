"""Table: a report for a person, in 80 columns; and how it compares with another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from ..tasks.wording import dollars
from .report import Figures, Latency, Report, Spread
from .work import COROUTINES, OURS, PROCESSES, THREADS, WAYS, Work

__all__ = ["TITLES", "compared", "seconds", "table"]

_LABEL: Final = 20
_CELL: Final = 15
_MOST_SIZES: Final = 4
"""Columns: with the label they take 80 characters."""

TITLES: Final = {
    OURS: "subactors",
    THREADS: "threads",
    PROCESSES: "process pool",
    COROUTINES: "coroutines",
}

_ABSENT: Final = "-"


def table(report: Report) -> Iterator[str]:
    """Yield the lines of a report."""
    yield f"{report.work.title}, {report.concurrency} at a time"
    if report.repeat > 1:
        yield f"Medians of {report.repeat} repeats; ±: how far another repeat was from the median at most"
    sizes = sorted({figures.tasks for figures in report.figures})
    for start in range(0, len(sizes), _MOST_SIZES):
        some = sizes[start : start + _MOST_SIZES]
        yield ""
        yield _line("tasks", [f"{size:,}" for size in some])
        yield from _ours([report.by(OURS).get(size) for size in some])
        if any(figures.way != OURS for figures in report.figures):
            yield ""
            yield _line("the same work", [f"{size:,}" for size in some])
            for way in WAYS:
                yield from _way(TITLES[way], [report.by(way).get(size) for size in some])
    yield ""
    for way, why in report.missing.items():
        yield f"Not measured: {TITLES[way]}, because {why}."
    told: set[str] = set()
    for figures in report.figures:
        for reason in figures.reasons:
            line = f"Failed, {TITLES[figures.way]}: {reason}"
            if line not in told:
                told.add(line)
                yield line
    if not report.complete:
        yield "It was ended before everything was measured."


def compared(before: Report, after: Report) -> Iterator[str]:
    """Yield what has become of each figure of subactors. Ranges of repeats that overlap are within the noise."""
    yield f"Compared with the figures of {before.time}:"
    for difference in _differences(before, after):
        yield f"  {difference}"
    then, now = before.by(OURS), after.by(OURS)
    for size in sorted(then.keys() & now.keys()):
        first, second = then[size], now[size]
        for label, values, form in _COMPARED:
            one, other = values(first), values(second)
            if one is not None and other is not None:
                change = f"{form(one.median)} -> {form(other.median)}"
                count = min(first.repeats, second.repeats)
                yield f"  {_tasks(size):>13}  {label:<17} {change:<24} {_verdict(one, other, count)}"
        if first.failures != second.failures:
            yield f"  {_tasks(size):>13}  {'failures':<17} {first.failures} -> {second.failures}"
    if not then.keys() & now.keys():
        yield "  There is no number of tasks that both have measured."


# --- lines ----------------------------------------------------------------------------------------------------------


def _line(label: str, cells: Sequence[str]) -> str:
    return f"{label:<{_LABEL}}{''.join(f'{cell:>{_CELL}}' for cell in cells)}".rstrip()


def _ours(columns: Sequence[Figures | None]) -> Iterator[str]:
    def row(label: str, text: Callable[[Figures], str]) -> str:
        return _line(label, [_ABSENT if figures is None else text(figures) for figures in columns])

    yield row("wall time", lambda figures: _with_range(figures.wall))
    yield row("tasks a second", lambda figures: _spread(figures.rate, _rate))
    yield from _latencies("start", [None if figures is None else figures.start for figures in columns])
    yield from _latencies("first output", [None if figures is None else figures.output for figures in columns])
    yield row("CPU", lambda figures: _spread(figures.cpu, cpu))
    yield row("peak memory", lambda figures: _spread(figures.peak, memory))
    if any(figures is not None and figures.input_tokens + figures.output_tokens for figures in columns):
        yield row("tokens in/out", lambda figures: f"{_short(figures.input_tokens)}/{_short(figures.output_tokens)}")
        yield row("cost", lambda figures: dollars(figures.cost) if figures.cost else _ABSENT)
    yield row("failures", _failures)
    yield row("rate limits met", lambda figures: f"{figures.rate_limits:,}")


def _way(title: str, columns: Sequence[Figures | None]) -> Iterator[str]:
    if not any(columns):
        return
    rows: Sequence[tuple[str, Callable[[Figures], str]]] = (
        ("wall", lambda figures: _with_range(figures.wall)),
        ("CPU", lambda figures: _spread(figures.cpu, cpu)),
        ("memory", lambda figures: _spread(figures.peak, memory)),
        ("failures", _failures),
    )
    for name, text in rows:
        cells = [_ABSENT if figures is None else text(figures) for figures in columns]
        if name != "failures" or any(cell not in ("0", _ABSENT) for cell in cells):
            yield _line(f"{title if name == 'wall' else '':<13}{name}", cells)


def _failures(figures: Figures) -> str:
    return f"{figures.failures + figures.deaths * figures.tasks:,}"


def _latencies(label: str, columns: Sequence[Latency | None]) -> Iterator[str]:
    if any(columns):
        for name in ("p50", "p95", "p99"):
            cells = [_ABSENT if latency is None else seconds(getattr(latency, name)) for latency in columns]
            yield _line(f"{label} {name}", cells)


def _spread(spread: Spread | None, form: Callable[[float], str]) -> str:
    return _ABSENT if spread is None else form(spread.median)


def _with_range(spread: Spread | None) -> str:
    """Return a time, and by how much the repeats were above or below it at most."""
    if spread is None or spread.low == spread.high or not spread.median:
        return _spread(spread, seconds)
    away = max(spread.high - spread.median, spread.median - spread.low) / spread.median
    return f"{seconds(spread.median)} ±{away:.0%}"


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count:,} tasks"


# --- figures --------------------------------------------------------------------------------------------------------


def seconds(value: float) -> str:
    """Return a time, with three digits that count."""
    if value < 1:
        return f"{_three(value * 1e3)} ms"
    return f"{_three(value)} s"


def cpu(value: float) -> str:
    """Return CPU time, which the kernel tells in hundredths of a second."""
    return f"{value:.2f} s" if value >= 0.01 else "<0.01 s"  # noqa: PLR2004 - the same


def memory(value: float) -> str:
    """Return a size of memory."""
    return f"{value / 1e6:,.0f} MB"


def _rate(value: float) -> str:
    return _three(value)


def _short(value: float) -> str:
    """Return a number of tokens."""
    if value < 10_000:  # noqa: PLR2004 - as much as there is room for
        return f"{value:,.0f}"
    return f"{value / 1e3:.0f}k" if value < 1e6 else f"{value / 1e6:,.1f}M"  # noqa: PLR2004 - a million


def _three(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004 - digits


def _medians(latency: Latency | None) -> Spread | None:
    return None if latency is None else latency.repeats


# --- comparing ------------------------------------------------------------------------------------------------------

_COMPARED: Final[Sequence[tuple[str, Callable[[Figures], Spread | None], Callable[[float], str]]]] = (
    ("wall time", lambda figures: figures.wall, seconds),
    ("start p50", lambda figures: _medians(figures.start), seconds),
    ("first output p50", lambda figures: _medians(figures.output), seconds),
    ("CPU", lambda figures: figures.cpu, cpu),
    ("peak memory", lambda figures: figures.peak, memory),
)


def _verdict(before: Spread, after: Spread, repeats: int) -> str:
    """Say what a difference means."""
    if before.median == after.median:
        return "the same"
    change = f"{(after.median - before.median) / before.median:+.0%}" if before.median else ""
    if repeats < 2:  # noqa: PLR2004 - one says nothing of noise
        return f"{change}, once only"
    if before.low <= after.high and after.low <= before.high:
        return f"{change}, within noise"
    return f"{change}, {'worse' if after.median > before.median else 'better'}"


def _differences(before: Report, after: Report) -> Iterator[str]:
    """Yield why figures may not be comparable."""
    if _what(before.work) != _what(after.work):
        yield f"Another work was measured then: {before.work.title}."
    if before.concurrency != after.concurrency:
        yield f"Then {before.concurrency} were at work at a time, now {after.concurrency}."
    if before.machine != after.machine:
        machine = before.machine
        yield f"Measured elsewhere: Python {machine.python}, {machine.cores} cores, Linux {machine.kernel}."
    if before.version != after.version:
        yield f"Then it was subactors {before.version}, now {after.version}."


def _what(work: Work) -> tuple[object, ...]:
    return work.team, work.agent, work.task, work.function, work.args
