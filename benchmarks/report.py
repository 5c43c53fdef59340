"""Report of results: `python -m benchmarks.report` writes RESULTS.md and pictures/ from results.json.

The page has one table for each question, of medians alone; all other figures stay in results.json beside it. Without
matplotlib there are no pictures, and the page has none.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from .contenders import CONTENDERS, contender_class
from .results import Measurement, Results
from .targets import Verdict, judge
from .words import FAULT_TITLES, digits, formatted, outcome_text
from .work import FAULTS

__all__ = ["CHECK_HELP", "is_short", "page", "targets_text", "write"]

_HERE: Final = Path(__file__).parent
_WHY: Final = 300
_PAGE: Final = "RESULTS.md"
_DATA: Final = "results.json"
_PICTURES: Final = "pictures"

_PICTURE_TITLES: Final = {
    "start": "Start latency",
    "fan_out": "Fan-out against the number of tasks",
    "memory": "Memory against the number of tasks",
    "isolation": "What a fault of one task does to the others, and to the host",
}

_MARKS: Final = {True: "met", False: "**missed**", None: "not measured"}

_QUESTIONS: Final = {
    "How long until the first message of a task's code, a tenth of a second after the last?": ("start",),
    "How long until it, one task after the other without any rest?": ("start, back to back",),
    "How long until the first byte of an LLM task's request is at its server?": ("llm start",),
    "How long does `run` keep its caller, with N tasks alive?": ("run returns", "run returns, without rest"),
    "How long does `submit` keep its caller, in turn with `run`?": (
        "run returns, in turn",
        "submit returns",
        "submit of a closure returns",
    ),
    "What do N one-second tasks take beyond the second, after half a second of rest?": ("fan-out",),
    "What do they take right after other tasks, without any rest?": ("fan-out without rest",),
    "How long does a map of N functions take that return at once?": (
        "map, a process for each item",
        "map, in chunks of 50",
    ),
    "What do N pending awaits cost, and how soon does one hear of an end?": (
        "memory of a pending await",
        "threads of pending awaits",
        "an end reaches a wait",
        "an end reaches an await",
    ),
    "How long is a message of 100 bytes on its way to a process and back?": (
        "round trip",
        "round trip between two cores",
    ),
    "How fast does output arrive?": ("stream",),
    "What does a flood of output do to other tasks?": (
        "start to end, quiet",
        "start to end, flooded",
        "view, quiet",
        "view, flooded",
        "stop, quiet",
        "stop, flooded",
    ),
    "How long does a stop take?": ("stop", "stop, refused: beyond the grace period"),
    "How long until the host knows of a SIGSEGV?": ("crash",),
    "How much memory does each of N idle tasks take (USS)?": ("memory per idle task",),
    "By how much does everything grow for each of N idle tasks (PSS)?": (
        "memory per idle task, by growth of everything (PSS)",
    ),
    "How much memory does an idle LLM task take?": (
        "memory per idle LLM task",
        "memory per idle LLM task, by growth of everything (PSS)",
    ),
    "How long does a cold start take?": ("cold start: import openai", "cold start", "cold start, LLM agent"),
    "How long does `concurrent.futures` take on a context?": ("executor up", "a process for each task"),
    "How long does the command line take?": ("subactors --help", "subactors ps"),
    "How much CPU do idle tasks take?": ("host CPU, idle tasks", "CPU of tasks and zygote, idle"),
    "What do N remembered tasks cost?": (
        "list",
        "list, a tenth of them running",
        "view",
        "host memory per remembered task",
    ),
}
"""Which metrics answer each question of the page."""


CHECK_HELP: Final = "exit status 1 if a target is missed or, in a run of everything, was not measured"

_NOT_YET: Final = "Not measured in this run: the scenario is younger, or was left out."


def write(results: Results, folder: Path = _HERE) -> None:
    """Write the page and the results, and the pictures that these are enough for."""
    pictures: list[str] = []
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is not installed: no pictures", file=sys.stderr)
    else:
        from .pictures import draw  # noqa: PLC0415 - only where it can be imported

        pictures = draw(results, folder / _PICTURES)
    results.save(folder / _DATA)
    (folder / _PAGE).write_text(page(results, pictures))


def page(results: Results, pictures: Sequence[str]) -> str:
    """Return the page."""
    parts = [
        "# Results",
        _about(results),
        *(f"![{_PICTURE_TITLES[name]}]({_PICTURES}/{name}.svg)" for name in pictures),
        *_targets(judge(results)),
        *(part for title, metrics in _QUESTIONS.items() for part in _question(results, title, metrics)),
        *_isolation(results),
        *_skipped(results),
    ]
    return "\n\n".join(parts) + "\n"


def targets_text(verdicts: Iterable[Verdict], *, partial: bool) -> str:
    """Return the targets for a terminal, a line each; in a partial run those alone that were measured."""
    lines = []
    for each in verdicts:
        if partial and each.met is None:
            continue
        measured = "-" if each.measured is None else formatted(each.measured, each.unit)
        bound = "-" if each.bound is None else formatted(each.bound, each.unit)
        mark = _MARKS[each.met].strip("*")
        lines.append(f"{mark:13} {measured:>10} of {bound:>10}  {each.title}: {each.text}")
    return "\n".join(lines)


def _about(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    size = "a quick run: small numbers" if results.quick else "a full run"
    return (
        f"`{results.command}`, {size}, {results.seconds / 60:.0f} minutes; {machine['cores']} cores "
        f"({machine['processor']}), {machine['memory_bytes'] / 1e9:.0f} GB, Linux {machine['kernel']}, "
        f"load {machine['load_before']:.1f} before. {versions}.{' ' * bool(results.remark)}{results.remark}\n\n"
        "Medians; in brackets, how many times the floor's. Quartiles, rounds and other metrics are in "
        f"[{_DATA}]({_DATA}). [README.md](README.md) tells what each scenario measures, and what of it is fair."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _targets(verdicts: Sequence[Verdict]) -> list[str]:
    """Return one line for each target; `targets.py` has the bounds in words."""
    rows = [
        [
            each.title,
            "-" if each.measured is None else formatted(each.measured, each.unit),
            "-" if each.bound is None else formatted(each.bound, each.unit),
            _MARKS[each.met],
        ]
        for each in verdicts
    ]
    met, missed, unknown = (sum(each.met is what for each in verdicts) for what in (True, False, None))
    heading = f"## Which targets are met? {met} of {met + missed}"
    if unknown:
        heading += f"; {unknown} not measured"
    return [heading, _table(["target", "measured", "bound on this machine", ""], rows)]


def _question(results: Results, title: str, metrics: Sequence[str]) -> list[str]:
    """Return heading and table: contenders down, what was measured across, or the other way where that is shorter."""
    found = [each for each in results.measurements if each.metric in metrics]
    if not found:
        return [] if results.partial else [f"## {title}", _NOT_YET]
    names = [name for name in CONTENDERS if any(each.contender == name for each in found)]
    columns = sorted({(metrics.index(each.metric), each.tasks) for each in found})
    if len(columns) == 1:
        return [f"## {title}", _table(["", "p50", "p95"], [_spread(results, each) for each in _ordered(found)])]
    titles = [_column(metrics, metric, tasks) for metric, tasks in columns]
    cells = [[_cell(results, metrics[metric], name, tasks) for metric, tasks in columns] for name in names]
    contenders = [contender_class(name).title for name in names]
    if len(names) < len(columns):
        titles, contenders = contenders, titles
        cells = [list(row) for row in zip(*cells, strict=True)]
    rows = [[first, *row] for first, row in zip(contenders, cells, strict=True)]
    return [f"## {title}", _table(["", *titles], rows)]


def _ordered(found: Iterable[Measurement]) -> list[Measurement]:
    return sorted(found, key=lambda each: list(CONTENDERS).index(each.contender))


def _spread(results: Results, each: Measurement) -> list[str]:
    """Return a row of a table that has room for more than the median."""
    title = contender_class(each.contender).title
    return [title, _cell(results, each.metric, each.contender, each.tasks), formatted(each.p95, each.unit)]


def _column(metrics: Sequence[str], metric: int, tasks: int) -> str:
    """Return the title of a column: as much as tells it from the others."""
    count = f"{tasks:,} tasks" if tasks else ""
    return ", ".join(filter(None, (metrics[metric] if len(metrics) > 1 or not count else "", count)))


def _cell(results: Results, metric: str, contender: str, tasks: int) -> str:
    measured = results.find(metric, contender, tasks)
    if measured is None:
        return ""
    return f"{formatted(measured.p50, measured.unit)}{_times_the_floor(results, measured)}"


def _times_the_floor(results: Results, measured: Measurement) -> str:
    floor = results.find(measured.metric, "floor", measured.tasks)
    if measured.contender == "floor" or floor is None or floor.p50 <= 0:
        return ""
    return f" ({digits(measured.p50 / floor.p50)})"


def _isolation(results: Results) -> list[str]:
    cells = {(cell.contender, cell.fault): outcome_text(cell) for cell in results.isolation}
    left = {each.contender: f"{each.left} of {each.started} left" for each in results.left_behind}
    names = [name for name in CONTENDERS if name in left or any(of == name for of, _ in cells)]
    if not names:
        return []
    head = ["", *(FAULT_TITLES[fault] for fault in FAULTS), "processes after SIGKILL of the host"]
    rows = [
        [contender_class(name).title, *(cells.get((name, fault), "") for fault in FAULTS), left.get(name, "")]
        for name in names
    ]
    return ["## What does a fault of one task do to the others, and to the host?", _table(head, rows)]


def _skipped(results: Results) -> list[str]:
    if not results.skipped:
        return []
    whys: dict[str, list[str]] = {}
    for each in results.skipped:
        whys.setdefault(" ".join(each.why.split())[-_WHY:], []).append(f"{each.contender} {each.scenario}")
    lines = [f"- {why}: {', '.join(dict.fromkeys(of))}" for why, of in whys.items()]
    return ["## What was not measured?", "\n".join(lines)]


def main() -> int:
    """Read results and write the report, or only check the targets."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description="Writes RESULTS.md and pictures/ from results.json."
    )
    parser.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=_HERE / _DATA,
        help="what `python -m benchmarks --json FILE` has written; the results that are kept if not given",
    )
    parser.add_argument("--folder", type=Path, default=_HERE, help="where page, results and pictures go")
    parser.add_argument("--check", action="store_true", help=f"write nothing; {CHECK_HELP}")
    given = parser.parse_args()
    results = Results.load(given.results)
    verdicts = judge(results)
    print(targets_text(verdicts, partial=results.partial))
    if given.check:
        return int(is_short(results, verdicts))
    write(results, given.folder)
    return 0


def is_short(results: Results, verdicts: Iterable[Verdict]) -> bool:
    """Tell whether a target is missed or, in a run of everything, was not measured."""
    return any(each.met is False or (each.met is None and not results.partial) for each in verdicts)


if __name__ == "__main__":
    sys.exit(main())
