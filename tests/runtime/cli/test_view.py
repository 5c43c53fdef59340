"""`view` and `logs`: one task of another process, or of a run whose host is gone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from live_runs import FIRST, PATIENCE, SECOND, UNFINISHED, live_run, running
from run_folders import command, host, past_run, subactors, task_row
from subactors.runtime import Budget, TaskBudget, Vitals
from subactors.runtime.models.base import Usage
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.output import OutputFiles
from subactors.runtime.runs.reader import JournalReader

# --- view -------------------------------------------------------------------------------------------------------------


def test_view_shows_everything_about_a_task_of_a_live_run(tmp_path: Path) -> None:
    vitals = Vitals(cpu_percent=50.0, cpu_seconds=3.25, memory_bytes=34_000_000, processes=2)
    used = {"usage": Usage(1000, 20, 3, 0.5), "total_usage": Usage(5000, 60, 9, 1.25)}
    budget = TaskBudget(cost=1.0, seconds=90.0, shared=("cost",), left=Budget(cost=0.5, seconds=29.0))
    more = {"vitals": vitals, "attempts": 2, "budget": budget}
    with live_run(tmp_path, running(FIRST, parent="agent_task_00000009", **more, **used)) as run:
        run.say(FIRST, b"a word\nand another\n")
        (run.folder.log / f"{FIRST}.log").write_text("noise")
        done = subactors("view", FIRST, root=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    facts = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for fact in (
        f"Task: {FIRST}",
        "Agent: worker",
        "Status: running",
        "Runtime: 1 min 01 s",
        "Attempts: 2",
        "Started by: agent_task_00000009",
        "Process: 4711",
        f"Host: process {os.getpid()}",
        "CPU: 3.25 s (50 %)",
        "Memory: 34 MB",
        "Processes: 2",
        "Usage: 1,000 tokens in, 20 out, $0.50, 3 requests",
        "In all: 5,000 tokens in, 60 out, $1.25, with the tasks it started",
        "Left: $0.50 of $1.00 (shared with who started it), 29 of 90 s",
        f"Log: {run.folder.log / FIRST}.log",
        "Work: hard work",
    ):
        assert fact in facts
    assert done.stdout.endswith("--- Output ---\na word\nand another\n")


def test_view_shows_a_task_of_a_past_run_with_output_result_and_reason(tmp_path: Path) -> None:
    past_run(
        tmp_path,
        task_row(1, status="failed", reason="It was\nnot meant to be.", result='{"a": [1]}', task="x" * 10_000),
        said={FIRST: "so far\nso good: ä".encode()},
    )
    done = subactors("view", FIRST, root=tmp_path)
    assert done.returncode == 0
    assert "x" * 10_000 in done.stdout
    assert "It was\n            not meant to be." in done.stdout
    assert "Host:       gone" in done.stdout
    assert done.stdout.endswith('--- Output ---\nso far\nso good: ä\n\n--- Result ---\n{\n  "a": [\n    1\n  ]\n}\n')


def test_view_json_is_one_object_with_the_output(tmp_path: Path) -> None:
    run = past_run(tmp_path, task_row(1), said={FIRST: b"said"})
    task = json.loads(subactors("view", "--json", FIRST, root=tmp_path).stdout)
    assert (task["id"], task["output"], task["output_size"], task["result"]) == (FIRST, "said", 4, "result 1")
    assert (task["run"], task["host_pid"]) == (str(run), None)


def test_a_task_that_its_host_has_forgotten_is_read_from_the_journal(tmp_path: Path) -> None:
    with live_run(tmp_path, running(SECOND)) as run:
        written = threading.Event()
        run.journal.write([task_row(1)], written.set)
        written.wait(PATIENCE)
        done = subactors("view", FIRST, root=tmp_path)
    assert "result 1" in done.stdout
    assert done.stderr == ""


def test_to_view_an_ended_task_of_a_past_run_is_to_have_read_it(tmp_path: Path) -> None:
    run = past_run(tmp_path, task_row(1, was_read=0), task_row(2, was_read=0))
    subactors("view", FIRST, root=tmp_path)
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        assert reader.unread() == 1


def test_an_id_may_be_shortened_to_what_only_one_task_has(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(0xAB12), task_row(0xCD12))
    assert "agent_task_0000ab12" in subactors("view", "b12", root=tmp_path).stdout
    ambiguous = subactors("view", "12", root=tmp_path)
    assert ambiguous.returncode == 1
    assert ambiguous.stderr == (
        "subactors: 2 tasks fit '12': agent_task_0000ab12, agent_task_0000cd12. Give more of the id.\n"
    )


def test_a_whole_id_is_taken_even_if_it_is_part_of_another(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1), task_row(2, id=f"{FIRST}0"))
    assert "work 1" in subactors("view", FIRST, root=tmp_path).stdout


def test_an_unknown_id_ends_with_1_and_names_what_is_near(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(0xAB12CD34), task_row(0x99999999))
    damaged = past_run(tmp_path)
    (damaged / "journal.sqlite").write_bytes(b"damaged" * 1000)
    for name in ("view", "stop"):
        done = subactors(name, "agent_task_ab12ce34", root=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert "There is no task 'agent_task_ab12ce34'" in done.stderr
        assert "Near it: agent_task_ab12cd34." in done.stderr
        assert damaged.name in done.stderr
    assert "`subactors ps --all` lists the tasks" in subactors("view", "zzz", root=tmp_path).stderr


def test_view_prints_a_final_text_once(tmp_path: Path) -> None:
    said = {
        FIRST: b"Let me see.\nresult 1",
        SECOND: b"result 2\n",
        "agent_task_00000003": b"not quite result 3",
        "agent_task_00000004": b"other words",
        "agent_task_00000005": b"The long answThe long answer.",
    }
    past_run(tmp_path, *map(task_row, range(1, 5)), task_row(5, result='"The long answer."'), said=said)
    shown = [subactors("view", task_id, root=tmp_path).stdout for task_id in said]
    assert shown[0].endswith("\n--- Output ---\nLet me see.\n\n--- Result ---\nresult 1\n")
    assert "Output" not in shown[1]
    assert shown[1].endswith("\n--- Result ---\nresult 2\n")
    assert shown[2].endswith("\n--- Output ---\nnot quite result 3\n\n--- Result ---\nresult 3\n")
    assert shown[3].endswith("\n--- Output ---\nother words\n\n--- Result ---\nresult 4\n")
    assert shown[4].endswith("\n--- Output ---\nThe long answ\n\n--- Result ---\nThe long answer.\n")
    followed = [subactors("view", "-f", task_id, root=tmp_path).stdout for task_id in said]
    assert [text.count(f"result {number}") for number, text in enumerate(followed, 1)] == [1, 1, 2, 1, 0]
    assert followed[4].count("The long answer.") == 1


def test_view_and_json_say_when_a_task_started_and_ended(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1, started=1769860800.25, ended=1769860803.5))
    with live_run(tmp_path, running(SECOND)):
        for task_id, ended in ((FIRST, "2026-01-31T12:00:03.500Z"), (SECOND, None)):
            task = json.loads(subactors("view", "--json", task_id, root=tmp_path).stdout)
            assert task["started_at"].startswith("2026-01-31T12:00:00.")
            assert task["ended_at"] == ended
            facts = [line.split() for line in subactors("view", task_id, root=tmp_path).stdout.splitlines()]
            assert ["Started:", task["started_at"]] in facts
            assert (["Ended:", ended] in facts) == (ended is not None)


# --- view --follow ----------------------------------------------------------------------------------------------------


def test_follow_of_an_ended_task_prints_all_of_it_and_how_it_ended(tmp_path: Path) -> None:
    past_run(
        tmp_path, task_row(1), task_row(2, status="failed", reason="No luck.", result=None), said={FIRST: b"one\ntwo"}
    )
    done = subactors("view", "-f", FIRST, root=tmp_path)
    assert done.returncode == 0
    assert done.stdout == (
        f"one\ntwo\n\n--- Result ---\nresult 1\n\n{FIRST} (worker) has ended after 2.5 s: completed.\n"
    )
    done = subactors("view", "-f", SECOND, root=tmp_path)
    assert done.returncode == 1
    assert done.stdout == f"\n{SECOND} (worker) has ended after 2.5 s: failed.\nNo luck.\n"


@contextlib.contextmanager
def following(root: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """Run `view -f` of the first task; give the program, what it says and its errors."""
    with subprocess.Popen(
        command("view", "-f", *options, FIRST, "--state-dir", root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        yield program, program.stdout, program.stderr


def test_follow_prints_output_as_it_comes_until_the_end(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        run.say(FIRST, b"before\n")
        with following(tmp_path, "--json") as (program, said, _):
            assert json.loads(said.readline())["text"] == "before\n"
            character = "ä".encode()
            run.say(FIRST, b"then " + character[:1])
            assert json.loads(said.readline())["text"] == "then "
            run.say(FIRST, character[1:])
            assert json.loads(said.readline())["text"] == "ä"
            run.say(FIRST, b"last")
            run.views[FIRST] = running(FIRST, status="stopped", reason="Enough.")
            last, ended = (json.loads(line) for line in said)
        assert (last["event"], last["text"]) == ("output", "last")
        assert (ended["event"], ended["task"]["status"]) == ("ended", "stopped")
        assert program.returncode == 1


def test_follow_says_how_much_of_a_flood_it_has_not_seen(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1), said={FIRST: b"".join(b"%04d\n" % number for number in range(2000))})
    lines = subactors("view", "-f", FIRST, root=tmp_path).stdout.splitlines()
    assert lines[0] == "0000"
    assert "1999" in lines
    (note,) = [line for line in lines if "left out here" in line]
    missed = int(note.removeprefix("[").split()[0].replace(",", ""))
    assert missed + sum(len(line) + 1 for line in lines if line.isdigit()) == 10_000


def test_follow_of_a_task_whose_host_is_killed_ends_with_that(tmp_path: Path) -> None:
    with host(tmp_path) as holder:
        journal = Journal(holder.run / "journal.sqlite", {})
        journal.write([task_row(1, **UNFINISHED)])
        journal.close()
        output = OutputFiles(holder.run / "output", FIRST, 1000)
        output.write(b"hello\n")
        output.close()
        with following(tmp_path) as (program, said, _):
            assert said.readline() == "hello\n"
            holder.kill()
            rest = said.read()
    assert rest.endswith(": failed.\nThe host died.\n")
    assert program.returncode == 1


def test_ctrl_c_ends_following_with_130_and_without_a_traceback(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        run.say(FIRST, b"hello\n")
        with following(tmp_path) as (program, said, errors):
            said.readline()
            program.send_signal(2)
            assert errors.read() == ""
        assert program.returncode == 130


def test_a_reader_that_goes_away_ends_following(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        run.say(FIRST, b"hello\n")
        with following(tmp_path) as (_, said, errors):
            said.readline()
            said.close()
            run.say(FIRST, b"is anybody there?\n")
            assert "Traceback" not in errors.read()
