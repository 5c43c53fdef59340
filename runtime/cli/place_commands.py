"""Place commands: `nodes` and `drain`, with their arguments."""

from __future__ import annotations

import click

from ..runs.folder import state_root
from .arguments import looked_at, run_option, state_option
from .completion import complete_with
from .help import command

__all__ = ["drain", "nodes"]


@command(
    examples=[
        "subactors nodes",
        "subactors nodes --json | jq -r 'select(.state == \"lost\").why'",
    ]
)
@run_option("List those of that run: the beginning of its folder's name, or another part.", "live runs")
@click.option("--json", "as_json", is_flag=True, help="One node a line, as JSON.")
@state_option
def nodes(state_dir: str | None, run: str | None, *, as_json: bool) -> int:
    """List the machines on which tasks run: the nodes of places.

    They are those of every program of yours that runs. A node is `connecting`, `serving`, `draining`, or `lost`; then
    it says why. FREE is the memory that the machine has left, HEARD when it gave its last sign of life. The machines of
    the programs themselves are not among them.
    """
    from .nodes import list_nodes

    return list_nodes(looked_at(state_dir), run, as_json=as_json)


@command(
    examples=[
        "subactors drain box1                   # what runs there goes on to its end",
        "subactors drain box1 --stop",
    ]
)
@click.argument("node", metavar="NODE", shell_complete=complete_with("nodes"))
@click.option(
    "--stop", is_flag=True, help="End its tasks, too: their restart policies decide whether they start again."
)
@run_option("Of that run: the beginning of its folder's name, or another part.", "live runs")
@click.option("--json", "as_json", is_flag=True, help="The node, as JSON.")
@state_option
def drain(node: str, state_dir: str | None, run: str | None, *, stop: bool, as_json: bool) -> int:
    """Have NODE take no new tasks.

    Those that run there go on until they end. With --stop they are ended at once; those whose agents have a restart
    policy start again on other nodes of the place, and the others have failed. A machine that is in several places is
    drained in each.
    """
    from .nodes import drain_node

    return drain_node(state_root(state_dir), node, run, stop=stop, as_json=as_json)
