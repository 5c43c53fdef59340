"""What a terminal shows: no control sequences of others, lines that have room in it, characters that it has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMAND, TEAM, WORK, environ, newest_task, shell
from first_forms import first_always
from terminals import in_terminal

pytestmark = pytest.mark.usefixtures("warm_commands")

OSC = "\x1b]52;c;aGk=\x07"

EVIL = f"evil {OSC}\x1b[2J\x9b31m\u202e\r text"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team.yaml").write_text(TEAM)
    (tmp_path / "terminal_work.py").write_text(WORK)
    return tmp_path


def is_clean(shown: str) -> bool:
    """Whether a terminal got no sequence but those of the live table: colours, and the cursor up and away."""
    return not any(what in shown for what in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "evil \r"))


# --- a terminal -------------------------------------------------------------------------------------------------------


@first_always(
    "arguments",
    [
        ("run", "team.yaml", "-a", "loud", "x"),
        ("run", "team.yaml", "-a", "broken", EVIL),
        ("run", "team.yaml", EVIL),
        ("run", "team.yaml", EVIL, "--json"),
        ("dispatch", "team.yaml", "loud", f"task {EVIL}"),
        ("dispatch", "team.yaml", "broken", "x"),
        ("dispatch", "team.yaml", "a[/b]", f"[red]{EVIL}[/blue]"),
        ("run", "team.yaml", "--agent", EVIL, "x"),
        ("run", "team.yaml", f"--{EVIL}"),
        (EVIL,),
        ("run", f"nowhere {EVIL}.yaml", "x"),
        ("view", EVIL),
    ],
    keep=4,
    ids=repr,
)
def test_nothing_that_anybody_says_commands_the_terminal(folder: Path, arguments: tuple[str, ...]) -> None:
    status, shown = in_terminal(folder, *arguments)
    assert is_clean(shown), shown
    assert "evil" in shown
    assert "runtime/cli/main.py" not in shown  # no traceback of ours
    assert status in {0, 1, 2}


def test_nor_does_it_command_a_terminal_that_cannot_be_drawn_on(folder: Path) -> None:
    for arguments in (["dispatch", "team.yaml", "a[/b]", EVIL], ["run", "team.yaml", "-a", "broken", EVIL]):
        _, shown = in_terminal(folder, *arguments, TERM="dumb")
        assert "evil" in shown
        assert "\x1b" not in shown
        assert is_clean(shown), shown


def test_a_file_with_sequences_in_its_names_is_checked_without_them(folder: Path) -> None:
    (folder / "evil.yaml").write_text(
        f"agents:\n  root: {{model: openai/{json.dumps(EVIL)[1:-1]}, instruction: x}}\n".replace(
            "openai/", '"openai/', 1
        ).replace(", instruction", '", instruction', 1)
    )
    (folder / "wrong.yaml").write_text(f"agents:\n  root: {{entrypoint: 'terminal_work:say', {json.dumps(EVIL)}: 1}}\n")
    for name in ("evil.yaml", "wrong.yaml"):
        _, shown = in_terminal(folder, "check", name)
        assert is_clean(shown), shown
        assert "evil" in shown


def test_views_and_lists_show_lines_and_text_without_sequences(folder: Path) -> None:
    shell(folder, "$S dispatch team.yaml loud x")
    ident = str(newest_task(folder)["id"])
    for arguments in (["view", ident], ["view", "-f", ident], ["ps", "--all"], ["view", ident, "--json"]):
        _, shown = in_terminal(folder, *arguments)
        assert is_clean(shown), shown
        assert "loud" in shown


MEANWHILE = """
import logging, sys, threading, warnings
from subactors.runtime import Runtime
from subactors.runtime.cli.display import LiveTable
from subactors.runtime.terminal.streams import take_over

EVIL = "evil \\x1b]0;title\\x07[bold]"

def fail():
    raise ValueError("error " + EVIL)

take_over()
with Runtime.from_file("team.yaml", standby=0) as runtime, LiveTable(runtime._host) as table:
    runtime.wait([runtime.run("a[/b]", "x")])
    logging.getLogger("subactors").warning("record " + EVIL)
    warnings.warn("warning " + EVIL)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    sys.stderr.write("piece " + EVIL)
    table.failed("a[/b]", "reason " + EVIL)
"""


def test_what_is_said_while_the_live_table_is_drawn_is_shown_clean_and_is_no_markup(folder: Path) -> None:
    status, shown = in_terminal(folder, command=[sys.executable, "-c", MEANWHILE])
    assert status == 0
    assert is_clean(shown), shown
    for what in ("record", "warning", "ValueError: error", "piece", "a[/b]: reason"):
        assert f"{what} evil [bold]" in shown


def table_rows(shown: str) -> list[list[str]]:
    """Return the cells of the live table's rows as they were drawn last."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "").split("\n")
    rows = [line for line in lines if re.match(r"(agent_task_)?[0-9a-f]{8} .* completed ", line)]
    return [re.split(r"  +", row.strip()) for row in rows]


QUEUED = """
from subactors.runtime import Runtime
from subactors.runtime.cli.display import LiveTable

with Runtime.from_file("team.yaml", max_running=1, standby=0) as runtime:
    for _ in range(3):
        runtime.run("slow", "x")
    with LiveTable(runtime._host):
        pass
"""


def test_the_live_table_shows_the_queue_and_each_place_in_it(folder: Path) -> None:
    status, shown = in_terminal(folder, command=[sys.executable, "-c", QUEUED])
    assert status == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    rows = [re.split(r"  +", line.strip()) for line in plain.splitlines() if " queued " in line]
    assert [row[1:] for row in rows[:2]] == [["slow", "queued", f"place {place} in the queue"] for place in (1, 2)]
    assert "3 tasks: 1 running, 2 queued" in plain


@first_always("columns", [80, 100, 120])
def test_the_live_table_has_room_for_what_tasks_say(folder: Path, columns: int) -> None:
    _, shown = in_terminal(folder, "dispatch", "team.yaml", "root", "All of this can be read.", columns=columns)
    *_, row = table_rows(shown)
    task_id = str(newest_task(folder)["id"])
    assert task_id.endswith(row[0])
    assert row[1:3] == ["root", "completed"]
    assert row[-1].startswith("All of this")


def test_the_live_table_stays_in_its_columns_where_the_locale_lacks_a_character(folder: Path) -> None:
    _, shown = in_terminal(folder, "dispatch", "team.yaml", "root", "…" * 100, columns=80, LC_ALL="C")
    assert "\\u2026" not in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert max(map(len, re.split(r"[\r\n]", plain.split("===")[0]))) <= 80


@first_always(
    "arguments",
    [
        ("check", "team.yaml"),
        ("check", "not a team.yaml"),
        ("run", "team.yaml", "--agent", "nobody", "x"),
        ("view", "nothing"),
        ("stop", "nothing", "nobody"),
        ("ps",),
        ("prune",),
    ],
    keep=2,
    ids=repr,
)
def test_sentences_are_broken_between_words_on_a_narrow_terminal(folder: Path, arguments: tuple[str, ...]) -> None:
    _, wide = in_terminal(folder, *arguments, columns=10_000)
    _, shown = in_terminal(folder, *arguments, columns=50)
    assert shown.split() == wide.split()
    assert all(len(line) <= 50 or " " not in line.strip() for line in shown.splitlines())


def test_an_answer_is_broken_between_words_on_a_narrow_terminal(folder: Path) -> None:
    _, shown = in_terminal(folder, "run", "team.yaml", "> " + "word " * 30, columns=50, TERM="dumb")
    answer = [line.removeprefix("> ") for line in shown.splitlines() if line.startswith("> word")]
    assert len(answer) == 4
    assert " ".join(answer).split() == ["word"] * 30


def test_a_sequence_that_comes_in_two_pieces_is_caught_as_well(folder: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "dispatch", "team.yaml", "torn", "x"],
        cwd=folder,
        env=environ(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        ident = program.stderr.readline().split()[0]
        _, shown = in_terminal(folder, "view", "-f", ident)
        program.stderr.read()
    assert "before  after" in shown
    assert "aGk" not in shown


def test_text_goes_into_a_pipe_unchanged(folder: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "team.yaml", "-a", "loud", "x"],
        cwd=folder,
        env=environ(folder),
        capture_output=True,
        check=True,
    )
    assert done.stdout == f"result {EVIL}\n".encode()


# --- a locale ---------------------------------------------------------------------------------------------------------

POOR = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@first_always(
    ("command", "locale"),
    [
        ("run team.yaml", POOR[0]),
        ("dispatch team.yaml root", POOR[0]),
        ("run team.yaml --json", POOR[0]),
        ("run team.yaml", POOR[1]),
        ("run team.yaml", POOR[2]),
    ],
    keep=2,
)
def test_a_character_that_the_locale_lacks_is_replaced(folder: Path, command: str, locale: dict[str, str]) -> None:
    done = shell(folder, f"$S {command} 'before 你好 😀 after' 2>&1", **locale)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    assert "before" in done.stdout
    assert "after" in done.stdout


def test_json_loses_nothing_in_a_poor_locale(folder: Path) -> None:
    (folder / "prompt").write_text("naïve 你好 😀 \x7f", encoding="utf-8")
    done = shell(folder, "$S run team.yaml --json - < prompt", PYTHONIOENCODING="ascii")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["text"] for event in events if event["event"] == "answer"] == ["naïve 你好 😀 \x7f"]


def test_bytes_that_are_no_text_are_shown_with_replacements(folder: Path) -> None:
    done = shell(folder, "$S run team.yaml $'a\\xffb'; $S run team.yaml -a $'a\\xffb' x; $S check $'a\\xffb'")
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("a")
    assert "The team has no agent" in done.stderr


def test_input_that_is_no_text_in_the_locale_is_read_all_the_same(folder: Path) -> None:
    (folder / "prompt").write_bytes(b"a\xffb")
    done = shell(folder, "$S run team.yaml - < prompt")
    assert (done.returncode, done.stdout) == (0, "a\ufffdb\n")
