"""A program that embeds the runtime and counts what each task costs: messages, bytes, journal writes, forks, faults.

Run as `python tests/kit/counting_host.py plain 40` (or `agent`, or `idle`), it prints as JSON what `test_costs.py`
bounds. It counts at the places where things pass, in a process of its own, and must change nothing of what passes
there. Nothing here is a time, so a busy machine counts the same as an idle one.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from processes_and_waits import children_of, descriptors, wait_until, wait_until_at_rest

BEGINS: Final = "/counting/begins"
ENDS: Final = "/counting/ends"
"""Paths that the program asks for, so that a trace of its system calls shows where the counted tasks are."""

_WARM: Final = 5
"""Tasks before the counted ones: what is done once has been done then."""

TEAM: Final = {
    "agents": {
        "plain": {"entrypoint": "subactors.runtime.testing:echo"},
        "agent": {
            "model": "python/counting_host:thinks_once",
            "instruction": "Think.",
            "toolsets": [{"type": "think"}],
        },
        "idle": {"entrypoint": "subactors.runtime.testing:wait_for_stop"},
    }
}


def thinks_once(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any] | str:
    """Call a tool, and answer when it has: what an agent does at the least. Runs in the tasks' processes."""
    del tools
    if messages[-1]["role"] == "tool":
        return "done"
    return {"content": None, "tool_calls": [{"function": {"name": "think", "arguments": '{"thought": "so"}'}}]}


def count_passing(counts: Counter[str]) -> None:
    """Have each thing counted where it passes in this process: channels, the zygote's socket, mailbox, journal."""
    from subactors.actors.host import process, system  # noqa: PLC0415 - tasks import this module, too, and need none of it
    from subactors.actors.host import zygote as zygote_module  # noqa: PLC0415 - tasks import this module, too, and need none of it
    from subactors.actors.wire.frames import FrameDecoder  # noqa: PLC0415
    from subactors.actors.wire.messages import Exited, Forked  # noqa: PLC0415
    from subactors.runtime.runs import journal  # noqa: PLC0415
    from subactors.runtime.supervisor import supervisor  # noqa: PLC0415

    def after(owner: Any, name: str, note: Callable[[Any, tuple[Any, ...]], None]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            note(result, args)
            return result

        setattr(owner, name, counted)

    def to_child(frame: bytes, _: object) -> None:
        counts.update({"messages to the task": 1, "bytes to the task": len(frame)})

    def from_zygote(message: object, _: object) -> None:
        counts.update({"messages with the zygote": 1})
        counts.update({"forks": isinstance(message, Forked), "exits": isinstance(message, Exited)})

    after(process, "encode_frame", to_child)
    after(system, "decode_from_zygote", from_zygote)
    after(zygote_module, "encode_packet", lambda _result, _args: counts.update({"messages with the zygote": 1}))
    after(supervisor.TaskSupervisor, "on_receive", lambda _result, _args: counts.update({"messages in the mailbox": 1}))
    after(journal.Journal, "write", lambda _result, _args: counts.update({"journal writes": 1}))
    after(journal.Journal, "_open", lambda connection, _: connection.set_trace_callback(statement))

    def statement(sql: str) -> None:
        word = sql.split(maxsplit=1)[0]
        if word == "COMMIT":
            counts["journal commits"] += 1
        elif word not in {"BEGIN", "PRAGMA"}:
            counts["journal statements"] += 1

    feed = FrameDecoder.feed

    def counted_feed(decoder: FrameDecoder, data: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        counts["bytes from the task"] += len(data)
        for frame in feed(decoder, data):
            counts["messages from the task"] += 1
            yield frame

    FrameDecoder.feed = counted_feed  # type: ignore[method-assign] - what passes is unchanged


def faults(pid: int | str) -> tuple[int, int]:
    """Return the page faults (minor ones) of a process, and of the children that it has reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[7]), int(fields[8])


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def main(kind: str, tasks: int) -> dict[str, Any]:
    """Run so many tasks of a kind, and return what each has cost; of idle ones what each holds."""
    from subactors.runtime import Runtime  # noqa: PLC0415 - tasks import this module, too, and need none of it

    counts: Counter[str] = Counter()
    count_passing(counts)
    # None stands by: forks ahead come when nothing else happens, and would fall into one count or the next.
    with Runtime.from_mapping(TEAM, standby=0) as runtime:
        run(runtime, kind if kind != "idle" else "plain", _WARM)
        (zygote,) = children_of(os.getpid())
        wait_until_at_rest(zygote)  # it rehearses first
        return {
            "threads of the host": threading.active_count(),
            "threads of the zygote": threads_of(zygote),
            "a task": held_by_idle_tasks(runtime, zygote, tasks)
            if kind == "idle"
            else cost_of(runtime, kind, tasks, zygote, counts),
            "pids": {
                "zygote": zygote,
                "host": {thread.native_id: thread.name for thread in threading.enumerate()},
            },
        }


def run(runtime: Any, kind: str, tasks: int) -> None:
    """Run tasks, one after the other."""
    for _ in range(tasks):
        (view,) = runtime.wait([runtime.run(kind, "a task of some words")])
        assert view.status == "completed", view


def cost_of(runtime: Any, kind: str, tasks: int, zygote: int, counts: Counter[str]) -> dict[str, float]:
    """Return what each of so many tasks costs, run one after the other."""
    own_before, children_before = faults(zygote)
    counts.clear()
    os.access(BEGINS, 0)
    run(runtime, kind, tasks)
    os.access(ENDS, 0)
    totals = dict(counts)
    own_after, children_after = faults(zygote)
    totals["page faults of the task"] = children_after - children_before
    totals["page faults of the zygote"] = own_after - own_before
    return {name: round(total / tasks, 2) for name, total in sorted(totals.items())}


def held_by_idle_tasks(runtime: Any, zygote: int, tasks: int) -> dict[str, float]:
    """Return what each of so many tasks holds while they idle, in itself and in host and zygote."""

    def held() -> tuple[int, int, int]:
        return len(descriptors()), len(descriptors(zygote)), threading.active_count()

    before = held()
    ids = [runtime.run("idle", "wait") for _ in range(tasks)]
    wait_until(lambda: all(runtime.view(task_id).output for task_id in ids), "all of them idle")
    after = held()
    pid = runtime.view(ids[0]).pid
    holds = {
        "descriptors of the host": (after[0] - before[0]) / tasks,
        "descriptors of the zygote": (after[1] - before[1]) / tasks,
        "threads of the host": (after[2] - before[2]) / tasks,
        "descriptors of its own": float(len(descriptors(pid))),
        "threads of its own": float(threads_of(pid)),
    }
    for task_id in ids:
        runtime.stop(task_id)
    return holds


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2])), indent=1))
