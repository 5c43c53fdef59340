"""The prompt of `subactors run`: in a real terminal, with a person who types, or is too slow."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from screens import drawn
from warm_commands import run_command

PATIENCE = 30.0
KIT = str(Path(__file__).parents[2] / "kit")

TEAM = """\
agents:
  root:
    model: python/asking_entrypoints:does_what_it_is_told
    toolsets: [{type: user_prompt, timeout: TIMEOUT}, {type: think}]
permissions: {ask: [think]}
"""


class Terminal:
    """A terminal with a command in it."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        self.got = ""
        self._read_until = 0
        self.program = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        os.close(theirs)

    def until(self, wanted: str) -> str:
        """Read until something is shown that was not before; return what is between."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.shown[self._read_until :]:
            assert time.monotonic() < deadline, f"{wanted!r} is not in {self.shown!r}"
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    data = os.read(self._ours, 65536)
                except OSError:  # the other end is closed
                    data = b""
                assert data, f"{wanted!r} is not in {self.shown!r}"
                self.got += data.decode(errors="replace")
                self.shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.shown + data.decode(errors="replace"))
                self.shown = self.shown.replace("\r", "")
        end = self.shown.index(wanted, self._read_until) + len(wanted)
        between, self._read_until = self.shown[self._read_until : end], end
        return between

    def type(self, text: str) -> None:
        """Type."""
        os.write(self._ours, text.encode())

    def close(self) -> int:
        """Wait for the command, and return its exit status."""
        while True:
            with contextlib.suppress(OSError):
                if select.select([self._ours], [], [], 0.1)[0] and (data := os.read(self._ours, 65536)):
                    self.got += data.decode(errors="replace")
                    self.shown += data.decode(errors="replace").replace("\r", "")
                    continue
            if self.program.poll() is not None:
                break
        os.close(self._ours)
        return self.program.wait(PATIENCE)


@contextlib.contextmanager
def running(tmp_path: Path, *calls: object, timeout: str = "60s", term: str = "dumb") -> Iterator[Terminal]:
    team = tmp_path / "team.yaml"
    team.write_text(TEAM.replace("TIMEOUT", timeout))
    environ = {**os.environ, "PYTHONPATH": KIT, "TERM": term, "COLUMNS": "120", "LINES": "40"}
    command = [sys.executable, "-m", "subactors.runtime.cli", "run", str(team), json.dumps(calls)]
    terminal = Terminal([*command, "--state-dir", str(tmp_path / "state")], environ)
    try:
        yield terminal
    finally:
        if terminal.program.poll() is None:
            terminal.program.kill()
            terminal.program.wait()


def answer_elsewhere(tmp_path: Path, text: str) -> None:
    run_command("answer", "question_", text, "--state-dir", tmp_path / "state").check_returncode()


def prompt(message: str, **more: object) -> tuple[str, dict[str, object]]:
    return ("user_prompt", {"message": message, **more})


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_a_person_at_the_terminal_is_asked_and_the_answer_goes_to_the_task(tmp_path: Path, term: str) -> None:
    with running(tmp_path, prompt("What is your name?"), term=term) as terminal:
        terminal.until("asks:\n| What is your name?\n> ")
        terminal.type("Ada\n")
        terminal.until("Ada")
        status = terminal.close()
    assert status == 0
    assert '"content": {"response": "Ada"}' in terminal.shown.replace("\\", "").replace("\n", " ")


def test_the_table_that_comes_again_leaves_what_was_asked(tmp_path: Path) -> None:
    choose = prompt("Which?", schema={"type": "string", "enum": ["red", "green"]})
    with running(tmp_path, choose, prompt("Sure?"), term="xterm") as terminal:
        terminal.until("  2) green\n> ")
        terminal.type("2\n")
        terminal.until("| Sure?\n> ")
        terminal.type("yes\n")
        terminal.close()

    screen = drawn(terminal.got)
    assert "| Which?\n  1) red\n  2) green\n> 2\n" in screen
    assert "| Sure?\n> yes\n" in screen


def test_a_choice_is_made_by_its_number_and_what_is_none_is_asked_again(tmp_path: Path) -> None:
    with running(tmp_path, prompt("Which?", schema={"type": "string", "enum": ["red", "green"]})) as terminal:
        terminal.until("  1) red\n  2) green\n> ")
        terminal.type("blue\n")
        terminal.until("'blue' is not one of the answers to choose from: 'red', 'green'.")
        terminal.until("> ")
        terminal.type("2\n")
        status = terminal.close()
    assert status == 0
    assert "green" in terminal.shown[-400:]


def test_an_approval_is_given_or_denied_with_a_word(tmp_path: Path) -> None:
    think = ("think", {"thought": "hm"})
    with running(tmp_path, think, think) as terminal:
        asked = terminal.until("> ")
        assert "wants to call the tool think" in asked
        assert "1) allow once" in asked
        terminal.type("1\n")
        terminal.until("> ")
        terminal.type("4: not today\n")
        status = terminal.close()
    assert status == 0
    word = "A person at the terminal has denied this call of 'think'. Their word on it: not today."
    assert word in " ".join(terminal.shown.split())


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_a_deadline_that_passes_while_the_answer_is_typed_takes_the_question_back(tmp_path: Path, term: str) -> None:
    with running(tmp_path, prompt("Slow?"), prompt("And now?"), timeout="3s", term=term) as terminal:
        terminal.until("Slow?\n> ")
        terminal.type("half an ans")  # and no line break
        terminal.until("(Time is over: nobody waits for the answer any more.)")
        terminal.until("And now?\n> ")
        terminal.type("yes\n")
        status = terminal.close()
    assert status == 0
    answer = " ".join(terminal.shown.replace("\\", "").split())
    assert '"action": "cancel"' in answer
    assert '"content": {"response": "yes"}' in answer  # and nothing of what was typed before


def test_what_was_typed_before_a_question_was_shown_answers_nothing(tmp_path: Path) -> None:
    think, slow = ("think", {"thought": "hm"}), ("think", {"thought": "again"})
    with running(tmp_path, think, slow) as terminal:
        terminal.until("started")
        terminal.type("1\n1\n")  # before anything is asked
        terminal.until("> ")
        terminal.type("4\n1\n1\n")  # an answer, and what comes too early for the next one
        asked = terminal.until("> ")
        assert "again" in asked
        terminal.type("deny: I have seen it\n")
        status = terminal.close()
    assert status == 0
    said = " ".join(terminal.shown.split())
    assert said.count("has denied this call of 'think'") == 2
    assert "I have seen it" in said


def test_the_rest_of_a_line_whose_question_was_taken_back_does_not_answer_the_next(tmp_path: Path) -> None:
    with running(tmp_path, prompt("Slow?"), prompt("And now?"), timeout="3s") as terminal:
        terminal.until("Slow?\n> ")
        terminal.type("half an ans")
        terminal.until("(Time is over: nobody waits for the answer any more.)")
        terminal.type("wer\n")
        terminal.until("And now?\n> ")
        terminal.type("yes\n")
        status = terminal.close()
    assert status == 0
    assert '"content": {"response": "yes"}' in " ".join(terminal.shown.replace("\\", "").split())


def test_a_question_cannot_look_like_words_of_the_program(tmp_path: Path) -> None:
    forged = "Fine?\n  1) allow once\n> \x1b[2Jsubactors: all is well\u202e" + "\u00a0" * 110 + "  1) yes"
    with running(tmp_path, prompt(forged, schema={"enum": ["yes\n  2) deny", "no"]})) as terminal:
        asked = terminal.until("no\n> ")
        terminal.type("2\n")
        status = terminal.close()
    assert status == 0
    lines = asked.partition(" asks:\n")[2].splitlines()
    assert lines[:2] == ["| Fine?", "|   1) allow once"]
    assert lines[2].startswith("| > \\x1b[2Jsubactors: all is well\\u202e")
    assert all(line.startswith("| ") for line in lines[:-3])
    assert lines[-3:] == ["  1) yes\\n  2) deny", "  2) no", "> "]


def test_a_call_that_is_too_long_to_be_shown_at_first_is_shown_before_it_is_approved(tmp_path: Path) -> None:
    thought = "harmless " * 500 + "EVIL" + " harmless" * 500
    with running(tmp_path, ("think", {"thought": thought})) as terminal:
        asked = terminal.until("  5) show all\n> ")
        assert "EVIL" not in asked
        assert "characters left out here. Choose `show all` to see them before you allow it.]" in asked.replace(
            "\n| ", ""
        )
        terminal.type("5\n")
        shown = terminal.until("> ")
        assert "EVIL" in shown
        assert "show all" not in shown
        terminal.type("1\n")
        status = terminal.close()
    assert status == 0
    assert "Thoughts so far" in terminal.shown


def test_a_choice_that_looks_like_a_number_is_itself(tmp_path: Path) -> None:
    with running(tmp_path, prompt("Which?", schema={"enum": ["3", "2", "1"]})) as terminal:
        terminal.until("  3) 1\n> ")
        terminal.type("3\n")
        status = terminal.close()
    assert status == 0
    assert '"content": {"response": "3"}' in " ".join(terminal.shown.replace("\\", "").split())


def test_a_question_is_taken_back_before_the_end_of_its_run_is_told(tmp_path: Path) -> None:
    with running(tmp_path, prompt("Wait?")) as terminal:
        terminal.until("Wait?\n> ")
        terminal.type("hal")
        terminal.program.send_signal(signal.SIGTERM)
        terminal.close()
    assert "hal\n(The question is withdrawn.)\nroot: interrupted by" in terminal.shown


def test_ctrl_c_ends_the_run_while_a_question_waits(tmp_path: Path) -> None:
    with running(tmp_path, prompt("Wait?")) as terminal:
        terminal.until("Wait?\n> ")
        terminal.program.send_signal(signal.SIGINT)
        status = terminal.close()
    assert status == 130
    assert "interrupted by" in terminal.shown


def test_ctrl_d_leaves_a_question_to_others(tmp_path: Path) -> None:
    with running(tmp_path, prompt("Anybody?")) as terminal:
        terminal.until("Anybody?\n> ")
        terminal.type("\x04")
        terminal.until("(Left to others.)")
        answer_elsewhere(tmp_path, "from elsewhere")
        status = terminal.close()
    assert status == 0
    assert "from elsewhere" in terminal.shown


def test_what_is_answered_elsewhere_is_taken_back_here(tmp_path: Path) -> None:
    with running(tmp_path, prompt("Who first?")) as terminal:
        terminal.until("Who first?\n> ")
        answer_elsewhere(tmp_path, "the other")
        terminal.until("(Answered elsewhere.)")
        status = terminal.close()
    assert status == 0


def test_without_a_terminal_nobody_is_asked_and_standard_error_says_how_to_answer(tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text(TEAM.replace("TIMEOUT", "200ms"))
    calls = json.dumps([prompt("Anybody?"), prompt("x" * 3000), ("think", {"thought": "hm"})])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "subactors.runtime.cli",
            "run",
            str(team),
            calls,
            "--state-dir",
            str(tmp_path / "state"),
        ],
        env={**os.environ, "PYTHONPATH": KIT},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0
    assert "asks: Anybody?" in done.stderr
    assert "asks: " + "x" * 1999 + "…\nThat is not all, or not as it is: subactors view agent_task_" in done.stderr
    assert "It waits for an answer: subactors answer question_" in done.stderr
    assert "nobody answered within" in done.stdout
    assert "nobody can be asked here" in done.stdout
