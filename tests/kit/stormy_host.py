"""A host on a Ray cluster that runs tasks at each line of its input, and tells of each end when it comes.

What it says is JSON, a line each, as `[kind, value]`: the `tasks` that it has started; the addresses of its `nodes`,
once a task works; what has `ended`, as id, status, reason and result; and that all have, `over`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from subactors.runtime import EventStream, Runtime, TaskEnded
from subactors.runtime.nodes import ray
from subactors.runtime.team.places import RayPlace

TEAM: dict[str, Any] = {"agents": {"worker": {"entrypoint": "node_entrypoints:works_beside_another"}}}

PATIENCE = 60.0


def say(kind: str, value: Any) -> None:
    sys.stdout.write(json.dumps([kind, value]) + "\n")
    sys.stdout.flush()


def tell_of_ends(events: EventStream, tasks: set[str]) -> None:
    """Tell of each end, also of those that were told before, until all of these tasks have ended."""
    for event in events:
        if isinstance(event, TaskEnded):
            task = event.task
            say("ended", [task.id, task.status, task.reason, task.result])
            tasks.discard(task.id)
            if not tasks:
                return


def wait_for_nodes(runtime: Runtime, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while [node.state for node in runtime.nodes()].count("serving") < count and time.monotonic() < until:
        time.sleep(0.05)


def main() -> None:
    state, address, nodes, tasks = json.loads(sys.argv[1])
    ray._DRIVER = "hasty_ray_driver"  # type: ignore[misc]
    place = RayPlace(name="lab", address=address)
    settings = {"standby": 2, "stop_grace": 0.5, "max_running": 50, "max_tasks": 10_000, "state_dir": Path(state)}
    with (
        Runtime.from_mapping(TEAM, places=(place,), place=place.name, **settings) as runtime,
        runtime.events(limit=100_000) as events,
    ):
        for _ in sys.stdin:
            wait_for_nodes(runtime, nodes)
            started = [str(runtime.run("worker", str(number))) for number in range(tasks)]
            say("tasks", started)
            while not any(runtime.view(task).output for task in started):
                time.sleep(0.01)
            say("nodes", {node.name: node.address for node in runtime.nodes()})
            tell_of_ends(events, set(started))
            say("over", None)


if __name__ == "__main__":
    main()
