"""What terminals show of a run, from beginning to end, compared with screens that are kept as text."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from commands import COMMAND, TEAM, WORK, environ
from first_forms import first_always
from screens import is_kept, plain
from terminals import in_terminal
from warm_commands import run_command

LAST = re.compile(r".*(?=task +agent +status)", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team.yaml").write_text(TEAM)
    (tmp_path / "terminal_work.py").write_text(WORK)
    return tmp_path


def steady(shown: str) -> str:
    """Return a screen with the last of the tables only, and without what differs from run to run."""
    text = LAST.sub("", plain(shown))
    text = re.sub(r"(agent_task_)?[0-9a-f]{8}\b", lambda found: f"{found[1] or ''}00000000", text)
    text = re.sub(r"run_\d{8}T\d{6}_[0-9a-f]{8}", "run_20260131T120000_00000000", text)
    return re.sub(r"\d+\.\d s\b", "0.1 s", text)


TASK = "# Größe\n\nThis is one long line of an *answer* with `code` in it, which goes on and on and on.\n\n- a\n- b"


@first_always(
    ("name", "columns", "rows", "more"),
    [
        ("dispatch_60x24", 60, 24, {}),
        ("dispatch_80x24", 80, 24, {}),
        ("dispatch_80x24_dumb", 80, 24, {"TERM": "dumb"}),
        ("dispatch_80x24_locale_c", 80, 24, {"LC_ALL": "C"}),
    ],
    keep=2,
)
def test_a_fan_out_on_a_terminal(folder: Path, name: str, columns: int, rows: int, more: dict[str, str]) -> None:
    status, shown = in_terminal(folder, "dispatch", "team.yaml", "root", TASK, columns=columns, rows=rows, **more)
    assert status == 0
    is_kept(name, steady(shown))


def test_without_colours_nothing_else_changes(folder: Path) -> None:
    _, shown = in_terminal(folder, "dispatch", "team.yaml", "root", TASK, columns=80, NO_COLOR="1")
    assert not re.search(r"\x1b\[(3|4|9|10)\d", shown)
    is_kept("dispatch_80x24", steady(shown))


ANSWER = """\
# What was found

Two *lines* of **prose** with `code`, a [link](https://example.com/page) and <https://example.com/>, longer than 80.
The second line stays a line. <b>HTML</b> is text, and so is ![an image](https://example.com/image.png).

| what  | how many |
|-------|---------:|
| pages |       12 |

1. first
   - inner
2. second

> quoted

```python
print("a line of code is not broken, so that it can be copied, however long it is", "and so on", "and on")
```
"""


@first_always(
    ("name", "columns", "more"),
    [
        ("answer_60", 60, {}),
        ("answer_80", 80, {}),
        ("answer_200", 200, {"NO_COLOR": "1"}),
        ("answer_80_ascii", 80, {"TERM": "linux"}),
        ("answer_80_locale_c", 80, {"LC_ALL": "", "LC_CTYPE": "", "LANG": "C"}),
        ("answer_80_dumb", 80, {"TERM": "dumb"}),
    ],
    keep=2,
)
def test_an_answer_on_a_terminal_and_what_is_said_after_it(
    folder: Path, name: str, columns: int, more: dict[str, str]
) -> None:
    status, shown = in_terminal(folder, "run", "team.yaml", ANSWER, columns=columns, **more)
    assert status == 0
    is_kept(name, steady(shown).partition("1 task: 1 ended\n")[2] or steady(shown))


def test_an_answer_in_a_pipe_is_what_the_agent_said(folder: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "team.yaml", ANSWER],
        cwd=folder,
        env=environ(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ANSWER
    assert "Next:" not in done.stderr


def test_nothing_that_markdown_makes_of_an_answer_commands_the_terminal(folder: Path) -> None:
    evil = "&#27;]52;c;aGk=&#7; &#x9b;31m &#x202e; [a](http://x/&#27;[2J) `&#27;`\n\n```&#27;]0;x&#7;\ncode\n```"
    _, shown = in_terminal(folder, "run", "team.yaml", evil, columns=80)
    assert not re.search(r"\x1b(?!\[[0-9;?]*[A-Za-z])|[\x07\x9b\u202e]|\x1b\[2J", shown)


def test_data_on_a_terminal_is_json_as_it_is(folder: Path) -> None:
    _, shown = in_terminal(folder, "run", "team.yaml", "-a", "streams", "x", columns=80)
    assert '{\r\n  "opened": ' in shown


def test_what_a_failed_run_recommends_can_be_done(folder: Path) -> None:
    (folder / "team.yaml").write_text('agents: {root: {model: "python/terminal_work:lost"}}')
    (folder / "terminal_work.py").write_text("def lost(messages, tools):\n    raise OSError('no luck')")
    _, shown = in_terminal(folder, "run", "team.yaml", "x", columns=80)

    commands = [
        line.partition("subactors ")[2].split()[:2] for line in plain(shown).splitlines() if "subactors " in line
    ]
    assert [name for name, *_ in commands] == ["view", "resume"]
    for name, task in commands:
        done = run_command(name, task, cwd=folder, environ=environ(folder))
        assert "no luck" in done.stdout + done.stderr
        assert "subactors: " not in done.stderr


def test_what_to_look_at_next_after_a_failure(folder: Path) -> None:
    reason = 'no luck, for a reason that is longer than a line of this terminal, which has 80 columns"'
    (folder / "terminal_work.py").write_text(WORK.replace("reason " + '" + EVIL', reason))
    status, shown = in_terminal(folder, "run", "team.yaml", "-a", "broken", "x", columns=80)
    assert status == 1
    is_kept("failure_80", re.sub(r'File ".*"', 'File "…"', steady(shown)))
