"""Team files of somebody who means harm: what it takes to check them is bounded, and so is what is said of them."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path

import pytest
from first_forms import first_always
from subactors.runtime import TeamFileError
from subactors.runtime.cli.check import DryLook
from subactors.runtime.teamfile import load
from subactors.runtime.teamfile.load import check_team, load_team, team_from_mapping
from subactors.runtime.teamfile.nodes import Findings
from warm_commands import run_command

pytestmark = pytest.mark.usefixtures("warm_commands")

A = "agents:\n  root:\n    model: openai/x\n"
LINES = 100
SECRET = "v3ry-s3cret-value"  # noqa: S105 - nobody's


def laughs(indent: int, levels: int = 9, key: str = "k") -> str:
    first = f"{' ' * indent}{key}0: &{key}0 [x, x, x, x, x, x, x, x, x]\n"
    return first + "".join(
        f"{' ' * indent}{key}{n}: &{key}{n} [{', '.join([f'*{key}{n - 1}'] * 9)}]\n" for n in range(1, levels)
    )


def check(tmp_path: Path, text: str, **environ: str) -> tuple[int, list[str]]:
    """Have `subactors check` look at a file; return its exit status, and all lines that it has printed."""
    file = tmp_path / "team.yaml"
    file.write_text(text)
    environ = {**os.environ, "OPENAI_API_KEY": "sk-nobodys", **environ}
    done = run_command("check", file, cwd=tmp_path, environ=environ)
    lines = (done.stdout + done.stderr).splitlines()
    assert len(lines) <= LINES
    assert "Traceback" not in done.stdout + done.stderr
    assert max(map(len, lines)) < 10_000
    return done.returncode, lines


def doubled(form: str, separator: str = "") -> str:
    """Forty lines, each of which has the one before twice."""
    return separator.join(form.format(n=n, before=n - 1) for n in range(1, 40))


SCRIPT = "    toolsets:\n    - type: script\n      shell:\n        s:\n          cmd: x\n          args:\n"
BOMBS = {
    "the top": laughs(0) + A,
    "metadata": "metadata:\n" + laughs(2) + A,
    "a model's options": A + "models:\n  m:\n    provider: openai\n    model: x\n    provider_opts:\n" + laughs(6),
    "a provider": A + "providers:\n  p:\n" + laughs(4),
    "a schema": A + "    structured_output:\n      name: x\n      schema:\n        type: object\n" + laughs(8),
    "a server's configuration": A + "    toolsets:\n    - type: mcp\n      ref: docker:x\n      config:\n" + laughs(8),
    "a definition of a server": A + "mcps:\n  m:\n    ref: docker:x\n    config:\n" + laughs(6),
    "the arguments of a script": A + SCRIPT + laughs(12),
    "mappings": A + "metadata:\n  k0: &k0 {a: 1}\n" + doubled("  k{n}: &k{n} {{a: *k{before}, b: *k{before}}}\n"),
    "merge keys": "x0: &x0 {a: 1}\n" + doubled("x{n}: &x{n} {{<<: [*x{before}, *x{before}]}}\n") + A,
    "wide, and not deep": "k: &k [" + "x, " * 900 + "x]\nw: [" + "*k, " * 900 + "*k]\n" + A,
}


@first_always("text", BOMBS.values(), keep=2, ids=BOMBS)
def test_aliases_that_multiply_are_refused_wherever_they_stand(tmp_path: Path, text: str) -> None:
    status, lines = check(tmp_path, text)
    assert status == 2
    assert "more than 20,000 values" in lines[0]


TOO_MUCH = {
    "unknown keys": (A + "".join(f"k{n}: 1\n" for n in range(100_000)), "more than 1,000 entries"),
    "agents": ("agents:\n" + "".join(f"  a{n}: {{model: openai/x}}\n" for n in range(20_000)), "1,000 entries"),
    "items of a list": (A + "    sub_agents: [" + "a, " * 100_000 + "a]\n", "1,000 entries"),
    "values in all": (
        "agents:\n" + "".join(f"  a{n}: {{{', '.join(f'k{m}: 1' for m in range(90))}}}\n" for n in range(900)),
        "20,000 values",
    ),
    "levels in a row": ("a: " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
    "levels below each other": ("".join(" " * n + "a:\n" for n in range(1_000)), "nested too deeply"),
    "levels of mappings": ("{a: " * 300 + "}" * 300, "nested too deeply"),
}


@first_always(("text", "words"), TOO_MUCH.values(), keep=2, ids=TOO_MUCH)
def test_more_than_a_team_file_may_hold_is_one_problem(tmp_path: Path, text: str, words: str) -> None:
    status, lines = check(tmp_path, text)
    assert status == 2
    assert words in lines[0]
    assert len(lines) == 2


def many(form: str) -> str:
    return "".join(form.format(n=n) for n in range(900))


MISTAKES = {
    "unknown keys of agents": "agents:\n" + many("  a{n}: {{model: openai/x, descripton: x}}\n"),
    "names that are nearly right": "agents:\n" + many("  agent{n}: {{model: openai/x, sub_agents: [agenx{n}]}}\n"),
    "names of models": "models:\n"
    + many("  model{n}: {{provider: openai, model: x}}\n")
    + "agents:\n"
    + many("  a{n}: {{model: modex{n}}}\n"),
    "long names that are nearly right": "agents:\n"
    + many("  {n:0>60}: {{model: openai/x, sub_agents: [x{n:0>59}]}}\n"),
    "a long key above": "agents:\n  ? " + "x" * 1_000_000 + "\n  :\n" + many("    k{n}: 1\n"),
    "long keys": "agents:\n" + many("  ? " + "w" * 2_000 + "{n}\n  : []\n"),
}


@first_always("text", MISTAKES.values(), ids=MISTAKES)
def test_of_many_mistakes_the_first_are_shown_and_the_others_counted(tmp_path: Path, text: str) -> None:
    status, lines = check(tmp_path, text)
    assert status == 2
    assert "more problems." in lines[-2]
    assert lines[-1].endswith(" problems.")


def test_what_was_meant_is_looked_for_as_long_as_that_takes_little() -> None:
    findings = Findings("team.yaml")
    assert findings.may_suggest(60 * 1_000)
    assert not findings.may_suggest(60 * 60 * 5_000)
    assert [findings.may_suggest(60 * 60 * 900) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize("number", ["0x" + "f" * 4_000, "0x" + "f" * 1_000_000, "0o" + "7" * 1_000_000])
def test_a_number_that_would_take_for_ever_to_write_down_is_a_mistake(tmp_path: Path, number: str) -> None:
    status, lines = check(tmp_path, f"{A}    max_iterations: {number}\n")
    assert status == 2
    assert "This value cannot be read as !!int" in lines[0]


def test_a_pipe_that_nobody_writes_to_is_waited_for_a_moment(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (problem,) = check_team(tmp_path / "pipe")[1]
    assert "nothing came from it for 0.5 s" in problem.message


def test_a_pipe_that_goes_on_and_on_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_LONGEST", 0.1)
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(tmp_path / "pipe", os.O_WRONLY)
    given_up = threading.Event()

    def drip() -> None:
        with contextlib.suppress(BrokenPipeError):
            while not given_up.wait(0.01):
                os.write(writing, b"#")

    thread = threading.Thread(target=drip)
    try:
        os.write(writing, b"#")
        thread.start()
        (problem,) = check_team(tmp_path / "pipe")[1]
    finally:
        given_up.set()
        thread.join()
        os.close(reading)
        os.close(writing)
    assert "it did not come to its end within 0.1 s" in problem.message


def test_a_team_of_many_agents_is_looked_at_in_few_lines(tmp_path: Path) -> None:
    agents = "".join(f"  a{n}: {{model: openai/x, toolsets: [{{type: shell}}]}}\n" for n in range(900))
    bad = "  zz: {entrypoint: nowhere:f}\n"
    status, lines = check(tmp_path, f"agents:\n{agents}{bad}")
    assert status == 1
    assert any(line.startswith("  zz: would not run here: ") for line in lines)
    assert any("more lines" in line for line in lines)


def test_a_module_of_any_size_or_kind_does_not_hold_up_the_check(tmp_path: Path) -> None:
    (tmp_path / "bigmod.py").write_text("x = [" + "1," * 3_000_000 + "]\ndef f(t): pass\n")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "deep.py").write_text("x = " + "(" * 3000 + ")" * 3000 + "\n")
    text = "agents:\n" + "".join(
        f"  {name}: {{entrypoint: '{name}:f'}}\n" for name in ("bigmod", "pipe", "zero", "deep")
    )
    status, lines = check(tmp_path, text)
    assert status == 1
    assert lines[-1].startswith("Would run here: bigmod. Would not: pipe, zero, deep.")


def test_an_error_about_a_team_names_the_first_mistakes_and_counts_the_others(tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(MISTAKES["unknown keys of agents"])
    with pytest.raises(TeamFileError, match=r"There are 810 more problems\.") as caught:
        load_team(file)
    assert len(caught.value.problems) == 900
    assert len(str(caught.value).splitlines()) <= LINES


def test_a_mapping_that_repeats_itself_in_python_is_refused_too() -> None:
    value: list[object] = ["x"]
    for _ in range(40):
        value = [value, value]
    with pytest.raises(TeamFileError, match="more than 20,000 values"):
        team_from_mapping({"metadata": value, "agents": {"a": {"model": "openai/x"}}})


SHOWN = {
    "a command": {"command": "${env.SECRET_X}", "args": ["${env.SECRET_X}"]},
    "a folder": {"command": "cat", "cwd": "/nowhere/${env.SECRET_X}"},
    "an address": {"remote": {"url": "https://e.invalid/${env.SECRET_X}?k=${env.SECRET_X}"}},
    "a header": {"remote": {"url": "https://e.invalid/", "headers": {"A": "${env.SECRET_X}"}}},
    "a variable": {"command": "${env.SECRET_X}", "env": {"A": "$SECRET_X"}},
}


@first_always("server", SHOWN.values(), keep=2, ids=SHOWN)
@first_always("optional", [False, True])
def test_a_reference_to_the_environment_is_shown_and_not_its_value(
    tmp_path: Path, server: dict[str, object], optional: bool
) -> None:
    toolset = {"type": "mcp", "optional": optional, **server}
    _, lines = check(
        tmp_path, json.dumps({"agents": {"root": {"model": "openai/x", "toolsets": [toolset]}}}), SECRET_X=SECRET
    )
    assert SECRET not in "\n".join(lines)


@first_always(
    "model",
    [
        {"provider": "openai", "model": "${env.SECRET_X}"},
        {"provider": "openai", "model": "x", "base_url": "http://${env.SECRET_X}/v1"},
        {"provider": "openai", "model": "x", "base_url": "${env.SECRET_X}"},
        {"provider": "vllm", "model": "x", "provider_opts": {"a": "${env.SECRET_X}"}},
        {"provider": "azure", "model": "x", "token_key": "SECRET_Y"},
    ],
)
def test_what_a_model_takes_from_the_environment_is_not_shown(tmp_path: Path, model: dict[str, object]) -> None:
    team = {"agents": {"root": {"model": "m"}}, "models": {"m": model}}
    _, lines = check(tmp_path, json.dumps(team), SECRET_X=SECRET, SECRET_Y=SECRET)
    assert SECRET not in "\n".join(lines)


LONG = 150_000
TEXTS = {
    "references that do not end": "${env." * (LONG // 6),
    "blanks before a brace": "https://h/" + " }" * (LONG // 2),
    "a number and blanks": "1" + " " * LONG + "!",
    "digits": "9" * 400,
    "a module of many parts": "os." + "a." * (LONG // 2) + "b:f",
    "a path of many folders": "/a" * (LONG // 2),
    "a name too long for a file": "x" * 1_000,
    "the home of nobody": "~nobodyatall/x",
    "stars": "*a" * (LONG // 2),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_of_any_kind_in_any_place_is_checked(tmp_path: Path, text: str) -> None:
    server = {"type": "mcp", "command": text, "args": [text], "cwd": text, "env": {"A": text}}
    script = {"cmd": text, "working_dir": text, "env": {"A": text}}
    toolsets = {
        "server": server,
        "folder": {"type": "mcp", "command": "cat", "cwd": text},
        "remote": {"type": "mcp", "remote": {"url": text, "headers": {"A": text}}},
        "docker": {"type": "mcp", "ref": f"docker:{text}"},
        "script": {"type": "script", "shell": {"s": script}},
        "shell": {"type": "shell", "env": {"A": text}},
        "memory": {"type": "memory", "path": text},
        "files": {"type": "filesystem", "allow": [text]},
        "fetch": {"type": "fetch", "allowed_domains": [text]},
    }
    agents: dict[str, object] = {
        name: {"model": "openai/x", "toolsets": [toolset]} for name, toolset in toolsets.items()
    }
    agents["entrypoint"] = {"entrypoint": text}
    agents["function"] = {"model": f"python/{text}"}
    agents["model"] = {"model": text}
    agents["files_of_prompts"] = {"model": "openai/x", "add_prompt_files": [text]}
    agents["limits"] = {"model": "openai/x", "limits": {"memory": text, "wall_clock": text}}
    for name, agent in agents.items():
        mapping = {"agents": {name: agent}, "permissions": {"deny": [text]}}
        file = tmp_path / "team.yaml"
        file.write_text(json.dumps(mapping))
        team, problems = check_team(file)
        lines = list(DryLook(team, os.environ, tmp_path).lines()) if team is not None else list(map(str, problems))
        assert lines
        assert max(map(len, lines)) < 10_000
