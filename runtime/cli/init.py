"""Init: the command `subactors init`; `write_team` does its work."""

from __future__ import annotations

import click

from .completion import complete_list, complete_with
from .help import command

__all__ = ["init"]


@command(examples=["subactors init my-team", "subactors init my-team --model ollama/qwen3 --tools shell,think --yes"])
@click.argument("folder", metavar="[DIR]", required=False)
@click.option(
    "--model",
    "-m",
    metavar="REF",
    shell_complete=complete_with("models"),
    help="Its model, such as openai/gpt-4o or ollama/qwen3; none: no model.",
)
@click.option("--base-url", metavar="URL", help="The model's server, such as http://gpu:8000/v1.")
@click.option(
    "--tools",
    metavar="NAMES",
    shell_complete=complete_list(lambda: ("fetch", "filesystem", "memory", "shell", "think", "todo", "none")),
    help="fetch, filesystem, memory, shell, think, todo; with commas; or none.",
)
@click.option("--yes", "-y", is_flag=True, help="Ask nothing.")
def init(folder: str | None, model: str | None, base_url: str | None, tools: str | None, *, yes: bool) -> int:
    """Write a new team into DIR that runs as it is.

    It asks on a terminal. Without a --model it takes what this machine has: a model server that answers, a provider
    whose key is in the environment, or else Python functions alone. It writes team.yaml and work.py, and over no file
    that is there. Then it prints three commands to try.
    """
    from .write_team import write_team  # noqa: PLC0415 - `--help` should not wait for it

    return write_team(folder, model, base_url, tools, ask=not yes)
