"""Help: whole at 80 columns, in groups, with examples; and what is wrong with a command line, with the right word."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest
from run_folders import past_run, subactors, task_row
from subactors.runtime.cli.help import OTHER_NAMES, Command, usage_message
from subactors.runtime.cli.main import cli
from subactors.runtime.cli.manner import manner

COLUMNS = 80

PAGE = next(
    folder / "docs" / "command-line.md" for folder in Path(__file__).parents if (folder / "pyproject.toml").exists()
).read_text()


def shown(command: click.Command, name: str, columns: int = COLUMNS) -> str:
    """The help of a command, as a terminal gets it."""
    parent = click.Context(cli, info_name="subactors", terminal_width=columns) if command is not cli else None
    return click.Context(command, info_name=name, parent=parent, terminal_width=columns).get_help()


HELP = {"": shown(cli, "subactors"), **{name: shown(command, name) for name, command in cli.commands.items()}}


@pytest.fixture(autouse=True)
def _usual_manner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of a command line that is only read here set nothing for good."""
    monkeypatch.setattr(manner, "quiet", False)


@pytest.mark.parametrize("name", HELP)
def test_no_help_is_cut_or_too_wide(name: str) -> None:
    _, *lines = HELP[name].splitlines()  # the first is the usage, in which an argument may be repeated...

    assert [line for line in lines if line.endswith("...")] == []
    assert [line for line in lines if len(line) > COLUMNS] == []


@pytest.mark.parametrize("name", cli.commands)
def test_an_example_that_is_wider_than_the_screen_is_broken_as_a_shell_reads_it(name: str) -> None:
    command = cli.commands[name]
    assert isinstance(command, Command)
    _, _, shown_examples = shown(command, name, columns=44).partition("Examples:\n")
    lines = shown_examples.rstrip("\n").split("\n")

    as_read = "\n".join(lines).replace("\\\n", "")
    assert shlex.split(as_read, comments=True) == shlex.split("\n".join(command.examples), comments=True)
    assert [line for line in lines if len(line) > 44 and " " in line.strip().removesuffix(" \\")] == []


@pytest.mark.parametrize("name", cli.commands)
def test_the_examples_of_a_command_are_in_its_help_and_are_no_wrong_usage(name: str) -> None:
    command = cli.commands[name]

    assert isinstance(command, Command)
    assert command.examples
    for example in command.examples:
        assert example in HELP[name]
        calls = [part for part in example.split(" | ") if part.startswith("subactors ")]
        for call in calls or [example.partition("$(")[2].partition(")")[0]]:
            _, called, *arguments = shlex.split(call.partition(" < ")[0].partition(" > ")[0], comments=True)
            cli.commands[called].make_context(called, arguments)


def test_a_shell_is_told_the_whole_first_sentence_of_a_command() -> None:
    told = {item.value: item.help or "" for item in cli.shell_complete(click.Context(cli), "")}

    assert told.keys() == cli.commands.keys()
    assert [name for name, about in told.items() if about.endswith("...") or not about] == []


def test_every_command_is_in_a_group() -> None:
    sections = HELP[""].split("\n\n")

    assert "More:" not in HELP[""]
    assert [part.split(":")[0] for part in sections if part.startswith(("Work", "Look", "Talk", "Set up"))] == [
        "Work",
        "Look",
        "Talk and stop",
        "Set up",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sp", "No such command 'sp'. Did you mean 'ps'?"),
        ("dispach team.yaml", "No such command 'dispach'. Did you mean 'dispatch'?"),
        ("xyzzy", "No such command 'xyzzy'."),
        ("PS", "No such command 'PS'. Did you mean 'ps'?"),
        ("help", "No such command 'help'. Did you mean '--help'?"),
        ("kill 5e6f", "No such command 'kill'. Did you mean 'stop'?"),
        ("lst", "No such command 'lst'. Did you mean 'ps'?"),
        ("ps --color alway", "There is no value 'alway'. Did you mean 'always'? One of: auto, always, never."),
        ("ps --format {usage.cots}", "There is no key 'usage.cots'. Did you mean 'cost'? Keys: usage.input_tokens, "),
        ("ps --format {id.x}", "There is no key 'id.x'. 'id' has no keys of its own."),
        ("ps --format {questions.text}", "There is no key 'questions.text'. 'questions' has no keys of its own."),
        ("bench --function time:sleep --against thread", "There is no way 'thread'. Did you mean 'threads'? One of: "),
        ("ps --stats failed", "No such option '--stats'. Did you mean '--status'?"),
        ("ps --status faild", "There is no status 'faild'. Did you mean 'failed'? One of: queued, "),
        ("ps --format id,sttus", "There is no column 'sttus'. Did you mean 'status'? Columns: id, "),
        ("ps --format {usge.cost}", "There is no key 'usge'. Did you mean 'usage'? Keys: id, "),
        ("ps --format {id", "before end of string. A brace that is meant is doubled."),
        ("ps --json --format id", "--json and --format cannot be had together. Leave one out."),
        (
            "ps --since yesterday",
            "'yesterday' is neither a time ago, such as 10m or 2d, nor one such as 2026-01-31T12:00.",
        ),
        ("wait --timeout long a", "'long' is not a time such as 90s, 5m, 1h30m or 2d."),
        ("prune --older-than x", "'x' is not a number of at least 0."),
        ("ps -n 0", "'0' is not a whole number of at least 1."),
        ("bench --repeat 2000 --function time:sleep", "'2000' is not a whole number from 1 to 1000."),
        ("bench --function time:sleep --plot x.png", "name a file that ends with .svg, not 'x.png'."),
        ("stop", "Say which tasks: ids, --run RUN, or --all for all of them."),
        ("stop --all --run a", "--all and --run cannot be had together. Leave one out."),
        ("completion csh", "There is no shell 'csh'. Did you mean 'zsh'? One of: bash, zsh, fish."),
    ],
)
def test_wrong_usage_is_told_with_the_nearest_right_word(line: str, message: str, tmp_path: Path) -> None:
    arguments = shlex.split(line)
    state = ["--state-dir", str(tmp_path)] if arguments[0] in {"ps", "stop"} else []

    with pytest.raises(click.UsageError) as error:
        cli.main([arguments[0], *state, *arguments[1:]], standalone_mode=False)

    assert message in usage_message(error.value)


def test_an_unknown_agent_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("agents: {root: {entrypoint: a:b}, researcher: {entrypoint: a:b}}")
    done = subactors("dispatch", tmp_path / "team.yaml", "reseacher", "x", root=tmp_path)

    assert done.returncode == 2
    assert "The team has no agent 'reseacher'. Did you mean 'researcher'? Agents: root, researcher." in done.stderr


def test_an_agent_that_no_task_has_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1))
    done = subactors("ps", "--agent", "werker", root=tmp_path)

    assert "No agent 'werker' has a task. Did you mean 'worker'?" in " ".join(done.stderr.split())


def test_a_run_is_named_by_a_part_of_its_name_that_no_other_has(tmp_path: Path) -> None:
    run, _ = past_run(tmp_path, task_row(1)), past_run(tmp_path, task_row(2))
    alone = subactors("ps", "--all", "-q", "--run", run.name[-8:], root=tmp_path)
    several = subactors("ps", "--all", "--run", "2", root=tmp_path)
    unknown = subactors("ps", "--all", "--run", "nothing", root=tmp_path)

    assert (alone.returncode, alone.stdout) == (0, "agent_task_00000001\n")
    assert (several.returncode, several.stdout) == (1, "")
    assert several.stderr.startswith("subactors: 2 runs fit '2': run_2")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith(f"subactors: There is no run 'nothing' in {tmp_path}.")


@pytest.mark.parametrize("name", cli.commands)
def test_the_page_names_every_command_and_each_of_its_options(name: str) -> None:
    options = [option for param in cli.commands[name].params for option in param.opts if option.startswith("--")]

    assert f"`{name}" in PAGE
    assert [option for option in options if option not in PAGE] == []


def test_no_command_is_another_name_for_one() -> None:
    assert OTHER_NAMES.keys() & cli.commands.keys() == set()
    assert {name for name in OTHER_NAMES.values() if not name.startswith("--")} <= cli.commands.keys()
