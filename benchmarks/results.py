"""Results: values as they come, and what they come to; kept as JSON.

A host process writes one line for each value, so that what it had measured survives its end.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["Left", "Measurement", "Outcome", "Recorder", "Results", "Skipped", "machine", "summarise", "versions"]

_VERSIONS_OF: Final = ("subactors", "openai", "pykka", "msgspec", "loky", "pebble", "ray", "psutil")


class Recorder:
    """Writes values to a file, a line each. Used in the host of one scenario and contender."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, metric: str, value: float, unit: str, *, tasks: int = 0) -> None:
        """Keep one value; `tasks` is how many there were at once, where the scenario varies it."""
        self._write({"metric": metric, "value": value, "unit": unit, "tasks": tasks})

    def skip(self, why: str) -> None:
        """Say what was not measured, and why."""
        self._write({"skipped": why})

    def note(self, **what: Any) -> None:
        """Keep something else, for the runner."""
        self._write({"note": what})

    def _write(self, line: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


@dataclass(frozen=True)
class Measurement:
    """All values of one metric of one contender, over all rounds.

    Attributes:
        p99, least, most: None in results that were read from an older page, which did not show them.
        rounds: the median of each round, for how much rounds differ.
        spread: half the distance between the quartiles, as a share of the median.
    """

    scenario: str
    contender: str
    metric: str
    tasks: int
    unit: str
    count: int
    p50: float
    p95: float
    p99: float | None
    least: float | None
    most: float | None
    spread: float
    rounds: list[float]


@dataclass(frozen=True)
class Skipped:
    """What was not measured, and why."""

    scenario: str
    contender: str
    why: str


@dataclass(frozen=True)
class Outcome:
    """One cell of the isolation matrix.

    Attributes:
        task: what the host was told of the faulty task.
        siblings: how many of the healthy tasks beside it ended well, as "3 of 3".
        host: what became of the host.
        next_task: whether a task that was started afterwards ran.
        verdict: "contained", "partly" or "lost".
    """

    contender: str
    fault: str
    task: str
    siblings: str
    host: str
    next_task: str
    verdict: str


@dataclass(frozen=True)
class Left:
    """What is left of a killed host's processes after `seconds`."""

    contender: str
    seconds: float
    started: int
    left: int
    tasks: int
    children: int
    daemons: int
    others: int


@dataclass
class Results:
    """One run of the benchmarks.

    Attributes:
        command: what was run.
        remark: what else a reader of the figures has to know, in sentences.
        partial: whether scenarios, contenders or sizes were left out on purpose.
        seconds: how long it took.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""
    remark: str = ""
    quick: bool = False
    partial: bool = False
    seconds: float = 0.0
    measurements: list[Measurement] = field(default_factory=list)
    isolation: list[Outcome] = field(default_factory=list)
    left_behind: list[Left] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def find(self, metric: str, contender: str, tasks: int = 0) -> Measurement | None:
        """Return one measurement; None if there is none."""
        for each in self.measurements:
            if (each.metric, each.contender, each.tasks) == (metric, contender, tasks):
                return each
        return None

    def save(self, path: Path) -> None:
        """Write them as JSON, a line for each figure."""
        fields = ",\n".join(f" {json.dumps(name)}: {_lines_of(value)}" for name, value in asdict(self).items())
        path.write_text(f"{{\n{fields}\n}}\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` has written."""
        data = json.loads(path.read_text())
        data["measurements"] = [Measurement(**each) for each in data["measurements"]]
        data["isolation"] = [Outcome(**each) for each in data["isolation"]]
        data["left_behind"] = [Left(**each) for each in data["left_behind"]]
        data["skipped"] = [Skipped(**each) for each in data["skipped"]]
        return cls(**data)


def _lines_of(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value)
    return "[\n  " + ",\n  ".join(json.dumps(each) for each in value) + "\n ]"


def summarise(
    scenario: str, contender: str, metric: str, *, tasks: int, unit: str, rounds: Iterable[list[float]]
) -> Measurement:
    """Put the values of all rounds together."""
    by_round = [values for values in rounds if values]
    values = sorted(value for each in by_round for value in each)
    middle = statistics.median(values)
    return Measurement(
        scenario=scenario,
        contender=contender,
        metric=metric,
        tasks=tasks,
        unit=unit,
        count=len(values),
        p50=middle,
        p95=_quantile(values, 0.95),
        p99=_quantile(values, 0.99),
        least=values[0],
        most=values[-1],
        spread=(_quantile(values, 0.75) - _quantile(values, 0.25)) / 2 / middle if middle else 0.0,
        rounds=[statistics.median(each) for each in by_round],
    )


def _quantile(ordered: list[float], share: float) -> float:
    """Return a quantile, between two values in proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def machine() -> dict[str, Any]:
    """Describe this machine."""
    words = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": words[0] if words else platform.machine(),
        "memory_bytes": int(memory[0]) * 1024 if memory else 0,
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Return the versions of what takes part, as far as it is installed."""
    found = {"python": sys.version.split()[0]}
    for name in _VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
