"""Reports of benches: their figures, how they compare, and how they are drawn."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest
from subactors.runtime.bench.measure import Bench, Sample
from subactors.runtime.bench.peers import open_peer
from subactors.runtime.bench.picture import picture
from subactors.runtime.bench.report import Report
from subactors.runtime.bench.table import compared, table
from subactors.runtime.bench.work import THREADS, WAYS, FanOut, Span, Work


def fan_out(tasks: int, wall: float, *, failure: str = "") -> FanOut:
    spans = [Span(slot=0.0, began=0.001 * n, said=0.002 * n, ended=wall, failure=failure) for n in range(1, tasks + 1)]
    return FanOut(wall=wall, spans=spans, input_tokens=1_000_000, output_tokens=100_000, cost=123.456)


def report(*walls: float, sizes: tuple[int, ...] = (1, 100), failure: str = "", work: str = "work:nap") -> Report:
    bench = Bench(Work(function=work), WAYS, lambda _: None)
    for way in WAYS:
        for size in sizes:
            for wall in walls:
                done = fan_out(size, wall, failure=failure)
                bench.samples.append(Sample(way=way, tasks=size, fan_out=done, cpu=1000.0, peak=10**12))
    return Report.of(bench, Work(function=work), sizes=sizes, repeat=len(walls))


def line(lines: list[str], label: str) -> str:
    return next(each for each in lines if each.strip().startswith(label))


def test_percentiles_are_those_of_all_tasks_and_the_median_that_of_repeats() -> None:
    (entry,) = [each for each in report(3.0, 1.0, 2.0, sizes=(100,)).figures if each.way == THREADS]

    assert entry.wall is not None
    assert entry.start is not None
    assert (entry.wall.low, entry.wall.median, entry.wall.high) == (1.0, 2.0, 3.0)
    assert (entry.start.p50, entry.start.p95, entry.start.p99) == pytest.approx((0.050, 0.095, 0.099))


def test_tasks_a_second_are_the_tasks_by_the_wall_time_that_is_told_also_of_two_repeats() -> None:
    (entry,) = [each for each in report(0.045, 0.107, sizes=(1,)).figures if each.way == THREADS]

    assert entry.wall is not None
    assert entry.rate is not None
    assert entry.rate.median == pytest.approx(1 / entry.wall.median)


def test_a_table_fits_80_columns_however_large_the_figures_are() -> None:
    lines = [*table(report(12345.678, 99999.0, sizes=(1, 10, 100, 1000, 2000)))]

    assert max(map(len, lines)) <= 80
    assert line(lines, "tokens in/out").split()[-1] == "1.0M/100k"


def test_a_difference_within_the_ranges_of_the_repeats_is_noise() -> None:
    before = report(1.0, 1.1, 1.2)

    assert "within noise" in line([*compared(before, report(1.15, 1.3, 1.4))], "1 task  wall time")
    assert "+100%, worse" in line([*compared(before, report(2.1, 2.2, 2.3))], "1 task  wall time")
    assert "-45%, better" in line([*compared(before, report(0.5, 0.6, 0.7))], "1 task  wall time")
    assert "once only" in line([*compared(report(1.0), report(2.0))], "1 task  wall time")


def test_a_comparison_names_what_else_has_changed() -> None:
    before = msgspec.structs.replace(report(1.0, work="work:other"), concurrency=5)

    said = " ".join(compared(before, report(1.0)))

    assert "Another work was measured then: work:other()." in said
    assert "Then 5 were at work at a time, now 20." in said


@pytest.mark.parametrize(("sizes", "failure"), [((1,), ""), ((1, 100), "it failed & <how>"), ((7, 5000), "")])
def test_a_picture_is_svg_with_a_line_for_each_way(sizes: tuple[int, ...], failure: str) -> None:
    drawn = ET.fromstring(picture(report(0.5, 1.5, sizes=sizes, failure=failure)))  # noqa: S314 - our own

    assert len(drawn.findall("{*}polyline")) == len(WAYS)


def test_an_entrypoint_is_called_in_threads_with_a_task_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back afterwards
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bench_entrypoints.py").write_text(
        "def say(task):\n    task.emit(task.text)\n\ndef use(task):\n    return task.tools\n"
    )

    def done(function: str) -> FanOut:
        work = Work(team="team.yaml", agent="a", task="hello", function=f"bench_entrypoints:{function}")
        with open_peer(THREADS, work) as threads:
            return threads.fan_out(2)

    assert [span.said is not None for span in done("say").spans] == [True, True]
    assert done("use").fault == "it uses task.tools or task.model"
