"""`subactors check`: what of a file would run here, what would not and why, without running anything."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from first_forms import first_always
from model_server import ModelServer, Reply, Request, Status, Text
from subactors.runtime.cli.check import say_which_answer
from subactors.runtime.teamfile.load import team_from_mapping
from subactors.runtime.terminal import streams
from warm_commands import run_command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder on the module path, with modules that must not be imported."""
    package = tmp_path / "package"
    (package / "deep").mkdir(parents=True)
    for path in (package / "__init__.py", package / "deep" / "work.py", tmp_path / "single.py"):
        path.write_text("import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\ndef work(task): ...\n")
    (tmp_path / "plain" / "inner").mkdir(parents=True)
    (tmp_path / "plain" / "inner" / "work.py").write_text("from somewhere import work as renamed\n")
    (tmp_path / "broken.py").write_text("def work(:\n")
    (tmp_path / "open.py").write_text("from somewhere import *\n")
    return tmp_path


def check(folder: Path, text: str, *options: str, **environ: str) -> tuple[int, str]:
    (folder / "team.yaml").write_text(text)
    done = run_command(
        "check",
        "team.yaml",
        *options,
        cwd=folder,
        environ={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(folder / "home"), **environ},
    )
    assert not done.stderr, done.stderr
    assert not list(folder.rglob("*.ran"))
    return done.returncode, done.stdout


def agent(rest: str) -> str:
    return f"agents:\n  a:\n    {rest}\n"


def test_check_says_which_agents_would_run_and_which_would_not(folder: Path) -> None:
    text = "agents: {a: {model: ollama/x}, b: {model: openai/gpt-4o}, c: {entrypoint: 'nowhere:work'}}"
    status, said = check(folder, text)
    assert status == 1
    assert "b: not before there is a key: Model 'openai/gpt-4o' needs a key" in said
    assert said.endswith("Would run here: a. Would not: c. Not before there is a key: b.\n")
    assert "No model was asked whether it answers" in said
    status, said = check(folder, text, OPENAI_API_KEY="k")
    assert said.endswith("Would run here: a, b. Would not: c.\n")


@first_always("target", ["package.deep.work:work", "single:work", "plain.inner.work:renamed", "open:any"], keep=2)
def test_an_entrypoint_is_found_without_being_imported(folder: Path, target: str) -> None:
    assert check(folder, agent(f"entrypoint: {target}"))[0] == 0
    assert check(folder, agent(f"model: python/{target}"))[0] == 0


@first_always(
    ("target", "words"),
    [
        ("nowhere:work", "no module 'nowhere'"),
        ("package.nowhere:work", "no module 'package.nowhere'"),
        ("single.deep:work", "no module 'single.deep'"),
        ("plain.inner.nowhere:work", "no module 'plain.inner.nowhere'"),
        ("single:play", "defines no 'play'"),
        ("broken:work", "cannot be read as Python"),
    ],
    keep=3,
)
def test_an_entrypoint_that_is_not_there_is_named(folder: Path, target: str, words: str) -> None:
    status, said = check(folder, agent(f"entrypoint: {target}"))
    assert status == 1
    assert words in said


def test_a_model_that_cannot_answer_is_no_fault_where_another_stands_in(folder: Path) -> None:
    text = agent("{model: openai/gpt-4o, fallback: {models: [ollama/x]}}")
    assert check(folder, text)[0] == 0
    status, said = check(folder, agent("{model: ollama/x, fallback: {models: [openai/gpt-4o]}}"))
    assert status == 0
    assert "a: would do without a model: Model 'openai/gpt-4o' needs a key" in said


def test_what_tools_lack_is_named(folder: Path) -> None:
    toolsets = "[{type: shell, env: {A: '${env.NOT_SET}'}}, {type: script, shell: {t: {cmd: x, working_dir: no}}}]"
    status, said = check(folder, agent(f"{{model: ollama/x, toolsets: {toolsets}}}"))
    assert status == 1
    assert "The environment variable NOT_SET is not set. The shell toolset's env needs it for A." in said
    assert "The script t works in" in said


def test_keys_without_effect_and_prompt_files_that_are_missing_are_named_and_no_fault(folder: Path) -> None:
    status, said = check(folder, agent("{model: ollama/x, welcome_message: Hi, add_prompt_files: [AGENTS.md]}"))
    assert status == 0
    assert "agents.a.welcome_message: accepted, and without effect here" in said
    assert "a: would do without the prompt file AGENTS.md" in said


def test_a_worktree_needs_a_repository(folder: Path) -> None:
    text = agent("{model: ollama/x, workdir: worktree}")
    status, said = check(folder, text)
    assert status == 1
    assert "needs a git repository" in said
    (folder / ".git").mkdir()
    status, said = check(folder, text)
    assert status == 0


def test_importing_nothing_holds_for_the_modules_of_this_program_too() -> None:
    code = (
        "import sys; from subactors.runtime.cli.readiness import _target_fault; before = set(sys.modules); "
        "assert not _target_fault('xml.dom.minidom:parse'); print('xml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


_PRICES = """\
models:
  half: {provider: ollama, model: x, cost: {input: 1}}
  whole: {provider: ollama, model: x, cost: {input: 1, output: 1}}
"""


@pytest.mark.parametrize(
    ("agents", "would_not"),
    [
        ("a: {model: ollama/x, limits: {cost: 1}}", "a"),
        ("a: {model: half, limits: {cost: 1}}", "a"),
        ("a: {model: whole, fallback: {models: [half]}, limits: {cost: 1}}", "a"),
        ("a: {model: ollama/x}\nruntime: {limits: {cost: 1}}", "a"),
        ("a: {model: whole, limits: {cost: 1}}", ""),
        ("a: {model: ollama/x}", ""),
    ],
)
def test_an_agent_would_not_run_with_a_limit_on_cost_and_a_model_without_a_price(
    folder: Path, agents: str, would_not: str
) -> None:
    status, said = check(folder, f"{_PRICES}agents:\n  {agents}\n")

    assert status == bool(would_not)
    assert ("a: would not run here: Agent 'a' cannot run with a limit on cost" in said) == bool(would_not)


def test_check_says_which_agents_one_with_a_limit_on_cost_could_not_start(folder: Path) -> None:
    agents = (
        "{lead: {model: whole, limits: {cost: 1}, sub_agents: [mid]}, mid: {model: whole, sub_agents: [low]}, "
        "low: {model: half}}"
    )
    _, said = check(folder, f"{_PRICES}agents: {agents}\n")

    assert "lead: has a limit on cost, so what it may start would be refused: Agent 'low' cannot run" in said
    assert said.count("cannot run with a limit on cost") == 1


def test_each_model_is_asked_for_one_word_where_that_is_wanted(folder: Path) -> None:
    team = """
        models:
          good: {{provider: openai, model: good, base_url: "{url}", token_key: SOME_KEY, temperature: 0.5}}
          bad: {{provider: openai, model: bad, base_url: "{url}", token_key: SOME_KEY}}
        agents:
          root: {{model: good, fallback: {{models: [bad]}}}}
          other: {{model: good}}
          own: {{model: "python/package.deep.work:work"}}
    """

    def answer(request: Request) -> Reply:
        return Text("ok") if request.model == "good" else Status(401, "no such key: sk-of-nobody-4711")

    with ModelServer(answer) as server:
        status, said = check(folder, team.format(url=server.base_url), "--ping", SOME_KEY="sk-of-nobody-4711")
        asked = sorted(request.model for request in server.requests)
    assert status == 1
    assert asked == ["bad", "good"]
    *_, head, own, first, second = said.splitlines()
    assert head == "Asked for one word:"
    bad, good = sorted([first, second])
    assert re.fullmatch(r"  good: answered in .* s \(.* tokens in, .* out\)\.", good)
    assert bad.startswith("  bad: http://")
    assert "401" in bad
    assert own == "  python/package.deep.work:work: a function of yours, which is not asked."
    assert "4711" not in said


def ask_slow_and_quick(answer: Callable[[Request], Reply]) -> None:
    """Ask two models of a server, as `check --ping` does."""
    with ModelServer(answer) as server:
        place = {"provider": "local", "base_url": server.base_url}
        models = {name: {**place, "model": name} for name in ("slow", "quick")}
        say_which_answer(
            team_from_mapping({"models": models, "agents": {name: {"model": name} for name in models}}), {}
        )


def test_each_answer_is_told_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(streams.out, "sentence", lambda text, **_: told.set() if "quick: answered" in text else None)
    in_time: list[bool] = []

    def answer(request: Request) -> Reply:
        if request.model == "slow":
            in_time.append(told.wait(20))
        return Text("ok")

    ask_slow_and_quick(answer)

    assert in_time == [True]


def test_a_rate_limit_that_is_met_while_asking_gives_no_advice_for_tasks(capfd: pytest.CaptureFixture[str]) -> None:
    ask_slow_and_quick(lambda _: Status(429, "slow down", headers={"retry-after": "7"}))

    _, line, _ = capfd.readouterr().out.splitlines()
    assert line.endswith(
        ": its rate limit is reached just now. Its server may be asked again in 7 s. "
        "A task waits for that, up to the `rate_patience` of its team."
    )
