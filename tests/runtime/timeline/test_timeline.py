"""`subactors timeline`: pictures of a run of three levels, with a crash and a kill."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from browsers import browser, tab
from commands import PATIENCE
from first_forms import first_always
from host_programs import START, Host
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView
from subactors.runtime.runs.folder import runs
from subactors.runtime.timeline.page import page
from subactors.runtime.timeline.reading import Timeline, read_timeline
from subactors.runtime.timeline.svg import svg
from subactors.runtime.timeline.trace_events import trace_events
from traced_team import TEAM
from warm_commands import run_command

pytestmark = pytest.mark.usefixtures("warm_commands")

SVG: Final = "{http://www.w3.org/2000/svg}"
HOSTILE: Final = "</title><script>alert(1)</script> \u202e\x1b[2J & ]]>"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    with Runtime.from_mapping(TEAM, state_dir=folder, standby=0) as runtime:
        root = runtime.run("root", "go")
        killed: list[TaskView] = []

        def waits() -> bool:
            killed[:] = [view for view in runtime.list() if view.agent == "waiting" and "waiting" in view.output]
            return bool(killed)

        wait_until(waits, "the task waits", limit=PATIENCE)
        assert killed[0].pid is not None
        os.kill(killed[0].pid, signal.SIGKILL)
        runtime.wait([root])
    return folder


@pytest.fixture(scope="module")
def timeline(state: Path) -> Timeline:
    return read_timeline(runs(state)[-1])


def agents(timeline: Timeline) -> list[tuple[str, int]]:
    return [(row.view.agent, row.depth) for row in timeline.rows]


def run(state: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_command("timeline", "--state-dir", state, *arguments)


def test_each_task_is_a_row_below_what_has_started_it(timeline: Timeline) -> None:
    assert agents(timeline)[0] == ("root", 0)
    assert sorted(agents(timeline)[1:]) == [
        ("crashing", 2),
        ("knowing", 2),
        ("middle", 1),
        ("middle", 1),
        ("waiting", 2),
        ("worker", 2),
    ]


def test_a_row_has_turns_and_tools_within_its_time(timeline: Timeline) -> None:
    (row,) = [row for row in timeline.rows if row.view.agent == "worker"]

    assert [(part.kind, part.name) for part in row.parts if part.kind in {"turn", "tool"}] == [
        ("tool", "think"),
        ("turn", "python/traced_team:worker"),
        ("turn", "python/traced_team:worker"),
    ]
    assert all(row.began <= part.began <= part.ended <= row.ended <= timeline.seconds for part in row.parts)


def test_the_attempts_that_failed_are_marked_with_their_reasons(timeline: Timeline) -> None:
    crashes = {row.view.agent: [reason for _, reason in row.crashes] for row in timeline.rows if row.crashes}

    assert {agent: len(reasons) for agent, reasons in crashes.items()} == {"crashing": 2, "waiting": 1}
    assert all("SIGSEGV" in reason for reason in crashes["crashing"])
    assert "SIGKILL" in crashes["waiting"][0]


def test_the_picture_is_xml_with_a_bar_for_each_part_that_says_what_it_is(timeline: Timeline) -> None:
    root = ET.fromstring(svg(timeline))  # noqa: S314 - it is our own

    rows = root.findall(f"{SVG}g/{SVG}g")
    assert len(rows) == len(timeline.rows)
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert any(title.startswith("turn of python/traced_team:worker, ") for title in titles)
    assert any(title.startswith("tool think, ") for title in titles)
    assert sum(path.get("class") == "sign" for row in rows for path in row.iter(f"{SVG}path")) == 3
    assert [text.text for text in root.iter(f"{SVG}text")][-1].startswith(("✓", "✗"))  # type: ignore[union-attr]


def test_no_two_texts_of_the_picture_are_on_each_other(timeline: Timeline) -> None:
    root = ET.fromstring(svg(timeline))  # noqa: S314 - it is our own
    lines: dict[float, list[tuple[float, float]]] = {}
    for text in root.iter(f"{SVG}text"):
        width = 7 * len(text.text or "")
        start = float(text.get("x", 0)) - (width / 2 if text.get("text-anchor") == "middle" else 0)
        lines.setdefault(float(text.get("y", 0)), []).append((start, start + width))

    for places in lines.values():
        ordered = sorted(places)
        assert all(end <= start + 1 for (_, end), (start, _) in itertools.pairwise(ordered)), ordered


def test_trace_events_are_slices_that_nest_and_arrows_from_tool_calls_to_tasks(timeline: Timeline) -> None:
    events = json.loads(trace_events(timeline))["traceEvents"]

    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert len(names) == len(timeline.rows)
    tracks: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in events:
        if event["ph"] == "X":
            tracks.setdefault((event["pid"], event["tid"]), []).append(event)
    for slices in tracks.values():
        for one in slices:
            for other in slices:
                if one["ts"] < other["ts"] < one["ts"] + one["dur"]:
                    assert other["ts"] + other["dur"] <= one["ts"] + one["dur"] + 1
    arrows = [event for event in events if event.get("cat") == "start"]
    assert len(arrows) == 2 * (len(timeline.rows) - 1)
    assert [event["args"]["reason"][:20] for event in events if event["ph"] == "i"] == ["The task's process w"] * 3


def test_a_page_has_the_picture_and_a_table_and_runs_nothing(timeline: Timeline) -> None:
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in attrs), attrs

    Reader().feed(page(timeline))

    assert tags.count("svg") == 1
    assert tags.count("tr") == 1 + len(timeline.rows)
    assert not {"script", "link", "img", "iframe"} & {*tags}


def test_a_timeline_of_a_task_has_the_task_and_what_it_has_started(state: Path, timeline: Timeline) -> None:
    wanted = max((row.view for row in timeline.rows if row.view.agent == "middle"), key=lambda view: view.runtime)

    part = read_timeline(runs(state)[-1], wanted.id)

    assert sorted(agent for agent, _ in agents(part)) == ["crashing", "knowing", "middle", "waiting", "worker"]
    assert part.rows[0].began == 0


@pytest.fixture
def journal_of_hostile(tmp_path: Path) -> Iterator[Path]:
    team = {"agents": {"a": {"entrypoint": "traced_team:raise_hostile"}}}
    with Runtime.from_mapping(team, state_dir=tmp_path, standby=0) as runtime:
        runtime.wait([runtime.run("a", HOSTILE)])
        yield runs(tmp_path)[-1]


def test_hostile_text_is_text(journal_of_hostile: Path) -> None:
    timeline = read_timeline(journal_of_hostile)

    for text in (svg(timeline), page(timeline)):
        assert "<script" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "&lt;script&gt;alert(1)" in text
    ET.fromstring(svg(timeline))  # noqa: S314 - it is our own
    assert "\\u202e" not in trace_events(timeline)


def test_a_run_whose_host_was_killed_has_a_timeline(tmp_path: Path) -> None:
    host = Host(
        tmp_path,
        "-c",
        START
        + f"""
runtime = Runtime.from_mapping(team, state_dir={str(tmp_path)!r}, standby=0)
task = runtime.run("waits", "x")
while not runtime.view(task).output:
    pass
print("waits", flush=True)
import time; time.sleep(100)
""",
    )
    try:
        assert host.read_line() == "waits\n"
        alive = read_timeline(runs(tmp_path)[-1])
    finally:
        host.end()
    dead = read_timeline(runs(tmp_path)[-1])

    assert alive.rows[0].view.status in {"starting", "running"}
    assert (dead.rows[0].view.status, dead.rows[0].view.reason) == ("failed", "The host died.")
    ET.fromstring(svg(dead))  # noqa: S314 - it is our own


def test_a_journal_of_an_earlier_version_has_a_timeline_without_turns(state: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / runs(state)[-1].name
    run_folder.mkdir()
    with (
        contextlib.closing(sqlite3.connect(runs(state)[-1] / "journal.sqlite")) as old,
        contextlib.closing(sqlite3.connect(run_folder / "journal.sqlite")) as new,
    ):
        old.backup(new)
        new.execute("DROP TABLE step")
        new.commit()

    rows = read_timeline(run_folder).rows

    assert {part.kind for row in rows for part in row.parts} <= {"starting", "running", "pause"}


def test_a_page_names_its_run_once_above_the_picture(timeline: Timeline) -> None:
    _, _, above = page(timeline).partition("<h1>")

    assert above.partition("<svg")[0].count(timeline.run) == 1


@pytest.mark.slow
def test_the_picture_of_a_page_fits_into_a_window_that_is_narrower(timeline: Timeline, tmp_path: Path) -> None:
    file = tmp_path / "t.html"
    file.write_text(page(timeline))
    with browser(tmp_path / "profile") as chromium, tab(chromium, viewport={"width": 1000, "height": 700}) as opened:
        opened.page.goto(file.as_uri())
        picture = opened.page.locator("svg").bounding_box()

    assert picture["x"] + picture["width"] <= 1000
    assert picture["width"] > 800


@first_always(("name", "start"), [("t.svg", "<svg"), ("t.html", "<!doctype html>"), ("t.json", "{")])
def test_the_command_writes_the_form_that_the_name_of_the_file_says(
    state: Path, tmp_path: Path, name: str, start: str
) -> None:
    done = run(state, "-o", tmp_path / name)

    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"{tmp_path / name}: 7 tasks in ")
    assert (tmp_path / name).read_text().startswith(start)


def test_a_newer_run_that_has_no_tasks_yet_is_passed_over(state: Path, tmp_path: Path) -> None:
    shutil.copytree(state, tmp_path, dirs_exist_ok=True)
    with Runtime(state_dir=tmp_path, standby=0):
        done = run(tmp_path, "-o", tmp_path / "t.json")

    assert len(runs(tmp_path)) == 2
    assert f"{tmp_path / 't.json'}: 7 tasks in " in done.stderr


@first_always(
    ("arguments", "status", "said"),
    [
        (["-o", "t.png"], 2, "t.png is in no form that is known here: its name must end in .svg or .html or .json."),
        (["nothing", "-o", "t.svg"], 1, "There is no task 'nothing' in "),
        (["run_nothing", "-o", "t.svg"], 1, "There is no run 'run_nothing' in "),
        (["-o", "/proc/no/t.svg"], 2, "/proc/no/t.svg cannot be written: No such file or directory."),
    ],
)
def test_what_cannot_be_drawn_is_said(state: Path, arguments: list[str], status: int, said: str) -> None:
    done = run(state, *arguments)

    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
