"""Results as a page and pictures: `python -m benchmarks.report results.json` writes RESULTS.md and pictures/ here.

Without matplotlib there are no pictures, and the page has none.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from .contenders import CONTENDERS, contender_class
from .results import Measurement, Results
from .scenarios import SCENARIOS
from .targets import Verdict, judge
from .work import FAULTS

__all__ = ["formatted", "missed", "page", "targets_text", "write"]

_HERE: Final = Path(__file__).parent
_WHY: Final = 300
_PAGE: Final = "RESULTS.md"
_PICTURES: Final = "pictures"

_PICTURE_TITLES: Final = {
    "start": "Start latency",
    "fan_out": "Fan-out against the number of tasks",
    "memory": "Memory against the number of tasks",
    "isolation": "What a fault of one task does to the others, and to the host",
}

_MARKS: Final = {True: "met", False: "**missed**", None: "not measured"}

_BOUNDS: Final = (
    "The bound is as it holds on this machine: where it hangs on the speed of forks, it is scaled by the floor; a "
    "crash may be known as long after the floor as where its bound was set."
)


def write(results: Results, folder: Path = _HERE) -> None:
    """Write the page, and the pictures that the results are enough for."""
    pictures: list[str] = []
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is not installed: no pictures", file=sys.stderr)
    else:
        from .pictures import draw  # noqa: PLC0415 - only where it can be imported

        pictures = draw(results, folder / _PICTURES)
    (folder / _PAGE).write_text(page(results, pictures))


def page(results: Results, pictures: Sequence[str]) -> str:
    """Return the page."""
    parts = [
        "# Results",
        _about(results),
        *(f"![{_PICTURE_TITLES[name]}]({_PICTURES}/{name}.svg)" for name in pictures),
        "## Targets",
        _BOUNDS,
        _targets(judge(results)),
        *_scenarios(results),
        *_isolation(results),
        *_left_behind(results),
        *_skipped(results),
    ]
    return "\n\n".join(parts) + "\n"


def targets_text(verdicts: Iterable[Verdict]) -> str:
    """Return the targets for a terminal, a line each."""
    lines = []
    for each in verdicts:
        measured = "-" if each.measured is None else formatted(each.measured, each.unit)
        bound = "-" if each.bound is None else formatted(each.bound, each.unit)
        mark = _MARKS[each.met].strip("*")
        lines.append(f"{mark:13} {measured:>10} of {bound:>10}  {each.title}: {each.text}")
    return "\n".join(lines)


def formatted(value: float, unit: str) -> str:
    """Return a value with a unit that suits its size, to three digits."""
    if math.isinf(value):
        return "any"
    if unit == "s":
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if abs(value) * factor >= 1 or name == "µs":
                return f"{_digits(value * factor)} {name}"
    if unit == "B":
        for size, name in ((1e6, "MB"), (1e3, "kB")):
            if abs(value) >= size:
                return f"{_digits(value / size)} {name}"
    return f"{_digits(value)} {unit}".strip()


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def _about(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    size = "a quick run: small numbers" if results.quick else "a full run"
    return (
        f"`{results.command}`, {size}, {results.seconds / 60:.0f} minutes; {machine['cores']} cores "
        f"({machine['processor']}), {machine['memory_bytes'] / 1e9:.0f} GB, Linux {machine['kernel']}, "
        f"load {machine['load_before']:.1f} before. {versions}.\n\n"
        "Medians; *spread* is half the distance between the quartiles, *rounds* the least and the greatest median of a "
        "round. What each scenario measures, and what of it is fair, is told in [README.md](README.md)."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _targets(verdicts: Iterable[Verdict]) -> str:
    return _table(
        ["", "target", "bound here", "measured", ""],
        [
            [
                each.title,
                each.text,
                "-" if each.bound is None else formatted(each.bound, each.unit),
                "-" if each.measured is None else formatted(each.measured, each.unit),
                _MARKS[each.met],
            ]
            for each in verdicts
        ],
    )


def _scenarios(results: Results) -> list[str]:
    parts = []
    for name, scenario in SCENARIOS.items():
        measured = [each for each in results.measurements if each.scenario == name]
        if measured:
            rows = [_row(each, results) for each in sorted(measured, key=_order)]
            head = ["", "", "tasks", "p50", "p95", "spread", "rounds", "values", "times the floor"]
            parts += [f"## {scenario.title[0].upper()}{scenario.title[1:]}", _table(head, rows)]
    return parts


def _order(each: Measurement) -> tuple[str, int, int]:
    return each.metric, each.tasks, list(CONTENDERS).index(each.contender)


def _row(each: Measurement, results: Results) -> list[str]:
    floor = results.find(each.metric, "floor", each.tasks)
    ratio = "" if floor is None or floor.p50 <= 0 else f"{_digits(each.p50 / floor.p50)}"
    return [
        contender_class(each.contender).title,
        each.metric,
        str(each.tasks or ""),
        formatted(each.p50, each.unit),
        formatted(each.p95, each.unit),
        f"{each.spread:.0%}",
        f"{formatted(min(each.rounds), each.unit)} to {formatted(max(each.rounds), each.unit)}",
        str(each.count),
        ratio,
    ]


def _isolation(results: Results) -> list[str]:
    if not results.isolation:
        return []
    rows = [
        [
            contender_class(cell.contender).title,
            cell.fault,
            cell.verdict,
            cell.task,
            cell.siblings,
            cell.host,
            cell.next_task,
        ]
        for cell in results.isolation
    ]
    head = ["", "fault", "verdict", "what the host heard of the task", "siblings that ended well", "host", "next task"]
    return [f"## Isolation: {', '.join(FAULTS)}", _table(head, rows)]


def _left_behind(results: Results) -> list[str]:
    if not results.left_behind:
        return []
    rows = [
        [contender_class(each.contender).title]
        + [str(number) for number in (each.started, each.left, each.tasks, each.children, each.daemons, each.others)]
        for each in results.left_behind
    ]
    seconds = results.left_behind[0].seconds
    head = ["", "processes before", "left", "tasks", "their children", "their daemons", "others"]
    return [f"## Left {seconds:g} s after the host was killed with SIGKILL", _table(head, rows)]


def _skipped(results: Results) -> list[str]:
    if not results.skipped:
        return []
    scenarios: dict[tuple[str, str], list[str]] = {}
    for each in results.skipped:
        scenarios.setdefault((each.contender, " ".join(each.why.split())[-_WHY:]), []).append(each.scenario)
    lines = [f"- {name}, {', '.join(dict.fromkeys(of))}: {why}" for (name, why), of in scenarios.items()]
    return ["## Not measured", "\n".join(lines)]


def main() -> int:
    """Read results and write the report; exit status 1 if `--check` is given and a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path, help="what `python -m benchmarks --json FILE` has written")
    parser.add_argument("--folder", type=Path, default=_HERE, help="where the page and the pictures go")
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a target is missed")
    given = parser.parse_args()
    results = Results.load(given.results)
    verdicts = judge(results)
    print(targets_text(verdicts))
    if given.check:
        return int(missed(results, verdicts))
    write(results, given.folder)
    return 0


def missed(results: Results, verdicts: Iterable[Verdict]) -> bool:
    """Tell whether a target is missed; in a run of everything, one that was not measured is, too."""
    return any(each.met is False or (each.met is None and not results.partial) for each in verdicts)


if __name__ == "__main__":
    sys.exit(main())
