"""Nodes of other hosts: finds the machines of places of all hosts that live, and drains one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunError, StateError
from ..runs.folder import RunFiles, is_live, runs
from ..tasks.nodes import DrainNode, ListNodes, NodeView
from .client import ControlClient
from .finding import ambiguous, find_run, fitting, near
from .other_hosts import PATIENCE, ask_all

__all__ = ["ListedNode", "drain", "find_node", "nodes_of"]


@dataclass(frozen=True)
class ListedNode:
    """A node, and whose it is.

    Attributes:
        view: the node.
        run: the folder of the run.
        host_pid: process id of its host.
    """

    view: NodeView
    run: Path
    host_pid: int


def nodes_of(root: Path, run: str | None = None) -> tuple[list[ListedNode], list[str]]:
    """Return the nodes of all runs whose hosts live, and sentences on hosts that did not answer.

    Args:
        root: the state folder.
        run: a part of the name of the only run that is wanted.

    Raises:
        RunError: there is no such run.
        StateError: the state folder cannot be read.
    """
    only = find_run(root, run) if run is not None else None
    paths = [path for path in runs(root) if only in {None, path} and is_live(path)]
    answers = ask_all(paths, ListNodes())
    listed = [
        ListedNode(view, path, host_pid) for path, (host_pid, reply) in sorted(answers.items()) for view in reply.nodes
    ]
    # Asked once more: a host that has ended since has no nodes.
    silent = [path.name for path in paths if path not in answers and is_live(path)]
    return listed, [f"The host of {name} did not tell its nodes within {PATIENCE:g} s." for name in silent]


def find_node(nodes: Sequence[ListedNode], name: str) -> ListedNode:
    """Return the node that a name, or a part of exactly one, stands for; a lost one only where no other has that name.

    Raises:
        RunError: there is none, or there are several.
    """
    names = {node.view.name for node in nodes}
    fit = fitting(name, names, "")
    if not fit:
        raise RunError(f"There is no node {name!r} in a run of yours that lives. {near(name, names, '')}".rstrip())
    if len(fit) > 1:
        raise RunError(ambiguous(name, sorted(fit), "nodes", "name"))
    found = [node for node in nodes if node.view.name == fit[0]]
    found = [node for node in found if node.view.state != "lost"] or found
    if len({node.run for node in found}) > 1:
        hosts = ", ".join(node.run.name for node in found)
        raise RunError(f"Node {fit[0]} is one of several runs: {hosts}. Name one with --run.")
    return found[0]


def drain(node: ListedNode, *, stop: bool) -> list[NodeView]:
    """Have a node take no new task, in each place that has one of its name; return them as they are then.

    Args:
        node: the node.
        stop: see `DrainNode`; then it waits until its tasks have ended.

    Raises:
        RunError: its host refuses.
        RuntimeClosedError: that is just ending.
        StateError: it is gone, or does not answer.
    """
    try:
        with ControlClient(RunFiles(node.run).control, PATIENCE) as client:
            reply = client.ask(DrainNode(node.view.name, stop), None)
    except OSError as error:
        raise StateError(f"The host of {node.run.name} does not answer: {error}.") from error
    return reply.nodes
