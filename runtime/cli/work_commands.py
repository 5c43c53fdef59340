"""Work commands: `run`, `dispatch`, `resume`, `demo` and `mcp`, with their arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..runs.folder import state_root
from ..terminal.streams import out
from .arguments import (
    Duration,
    agent_argument,
    agent_of,
    agent_option,
    given,
    id_argument,
    json_option,
    lines_of_input,
    load,
    max_running_option,
    otel_file_option,
    place_given,
    place_option,
    settings_of,
    state_option,
    team_argument,
    working_dir_option,
)
from .completion import complete_with
from .help import command

__all__ = ["demo", "dispatch", "mcp", "resume", "run"]


@command(
    examples=[
        'subactors run team.yaml "What is new in …?"',
        "git diff | subactors run team.yaml --agent reviewer",
        'subactors run team.yaml --json "…" | jq -r \'select(.event == "answer").text\'',
    ]
)
@team_argument
@click.argument("prompt", required=False)
@agent_option
@place_option
@json_option
@click.option("--dashboard", "shows", is_flag=True, help="Show the run in a browser, too: print the address of a page.")
@max_running_option
@working_dir_option
@otel_file_option
@state_option
def run(team_file: Path, prompt: str | None, agent: str | None, place: str | None, shows: bool, **options: Any) -> int:
    """Run the root agent of TEAM on PROMPT and print its answer.

    PROMPT is read from standard input if it is `-`, or if it is missing and that is not a terminal. One that begins
    with a dash comes after `--`. The answer goes to standard output; the tasks, and in the end what the run cost, are
    shown on standard error, live if that is a terminal. The root is a task like any other: `subactors view` shows it
    later, too.
    """
    team = load(team_file)
    name, place = agent_of(team, agent or team.root), place_given(team, place)
    from .run import run_root

    as_json, text = options.pop("as_json"), given(prompt, "PROMPT")
    return run_root(team, name, text, place=place, as_json=as_json, has_dashboard=shows, settings=settings_of(options))


@command(
    examples=[
        'subactors resume 5e6f "Go on with the second half."',
        "subactors runs --open                  # what can be continued",
    ]
)
@id_argument("continued")
@click.argument("text", required=False)
@click.option("--team", "team_file", type=click.Path(path_type=Path), metavar="TEAM", help="The team, if it has moved.")
@json_option
@max_running_option
@working_dir_option
@otel_file_option
@click.option("--ends-with-output", is_flag=True, help="End when nobody reads the output: for programs that start it.")
@state_option
def resume(part: str, text: str | None, team_file: Path | None, *, ends_with_output: bool, **options: Any) -> int:
    """Continue a task that has ended, and print its answer.

    The task failed, was stopped, or its program died. It goes on from its last finished turn, as the root of a new
    run, with the team and in the directory that it had. TEXT is what you say to it now; a task that has completed goes
    on with a TEXT only. TEXT is read from standard input if it is `-`. The beginning of an ID is enough.
    """
    said = None if text is None else given(text, "TEXT")
    from .resume import resume_task

    if ends_with_output:
        from .endings import end_with_output

        end_with_output()
    root, as_json = state_root(options["state_dir"]), options.pop("as_json")
    return resume_task(root, part, said, team_file, as_json=as_json, settings=settings_of(options))


@command(
    examples=[
        'subactors dispatch team.yaml researcher "A" "B" "C"',
        "subactors dispatch team.yaml researcher - < topics.txt   # a task a line",
    ]
)
@team_argument
@agent_argument
@click.argument("tasks", metavar="TASK...", nargs=-1, required=True)
@click.option("--expected-output", metavar="TEXT", help="What each answer should look like.")
@place_option
@json_option
@max_running_option
@working_dir_option
@otel_file_option
@state_option
def dispatch(
    team_file: Path,
    agent: str,
    tasks: tuple[str, ...],
    expected_output: str | None,
    place: str | None,
    **options: Any,
) -> int:
    """Run AGENT of TEAM on every TASK at once.

    It needs no orchestrator. It prints the results in the order of the tasks. A TASK of `-` stands for the lines of
    standard input, a task each. The exit status is 1 if any task did not complete.
    """
    team = load(team_file)
    name, place = agent_of(team, agent), place_given(team, place)
    texts = [line for task in tasks for line in (lines_of_input() if task == "-" else [task])]
    if not texts:
        raise click.UsageError("There is no TASK on standard input: give one a line.")
    if not all(text.strip() for text in texts):
        raise click.UsageError("A TASK is empty.")
    from .run import dispatch_tasks

    as_json = options.pop("as_json")
    settings = settings_of(options)
    return dispatch_tasks(team, name, texts, expected_output, place=place, as_json=as_json, settings=settings)


@command(
    examples=[
        "subactors mcp team.yaml",
        "subactors mcp team.yaml --agent coordinator --max-running 5",
        "subactors mcp team.yaml --http --port 8765",
        "subactors mcp team.yaml --http --token-file token --linger 1h",
    ]
)
@team_argument
@click.option(
    "--agent",
    "-a",
    metavar="NAME",
    shell_complete=complete_with("agents"),
    help="The agent whose place the MCP host takes, not the root.",
)
@click.option("--http", is_flag=True, help="Serve over streamable HTTP, any number of clients at a time.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="With --http: the port; 0: a free one. [default: 8765]",
)
@click.option("--host", metavar="ADDRESS", help="With --http: where to listen. [default: 127.0.0.1]")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --http: a token a line, of which each client must have one.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="With --http: a name by which clients call the server, beside localhost.",
)
@click.option(
    "--linger",
    type=Duration(),
    metavar="TIME",
    help="With --http: how long a client may be away before its tasks end. [default: 30m]",
)
@max_running_option
@working_dir_option
@otel_file_option
@state_option
def mcp(team_file: Path, agent: str | None, **options: Any) -> int:
    """Serve the background agents of TEAM as tools to an MCP host.

    It speaks on standard input and output, and everything ends with standard input. The MCP host takes the place of the
    root agent: it may start the root's sub-agents, or all agents if the root has none.

    With --http it prints its address, and serves any number of clients. Each sees its own tasks only. At another
    address than one of this machine, --token-file and --allowed-host are needed.
    """
    from .mcp_address import address_of

    address = address_of(options)
    team = load(team_file)
    name = agent_of(team, agent or team.root)
    if address is None:
        from ..serve.mcp import serve

        return serve(team, name, settings=settings_of(options))
    from ..serve.http import serve_http

    return serve_http(team, name, address, settings=settings_of(options))


@command(
    examples=[
        "subactors demo .",
        "subactors demo --crash .               # with a sub-agent that dies half way",
        "subactors demo --model openai/gpt-4o . # with a model of yours",
    ]
)
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--crash", is_flag=True, help="Add a sub-agent that dies of SIGSEGV half way.")
@click.option(
    "--model",
    metavar="REF",
    shell_complete=complete_with("models"),
    help="Run the team with this model, such as openai/gpt-4o, in place of its own.",
)
@click.option("--print", "print_file", is_flag=True, help="Print the team file and run nothing.")
@json_option
def demo(folder: Path, model: str | None, **options: bool) -> int:
    """Survey the source code in DIR with a bundled team of agents.

    It needs no key and no server.
    """
    from ..demo import PROMPT, load_demo_team, team_text

    if options["print_file"]:
        out.line(team_text(crash=options["crash"]))
        return 0
    team = load_demo_team(crash=options["crash"], model=model)
    os.chdir(folder)
    from .run import run_root

    return run_root(team, team.root, PROMPT, as_json=options["as_json"], settings={})
