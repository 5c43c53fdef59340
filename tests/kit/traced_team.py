"""A team whose tasks start others, three levels deep, crash, and are killed: models and an entrypoint of its own."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import time
from typing import Any

TEAM = {
    "agents": {
        "root": {
            "model": "python/traced_team:lead",
            "sub_agents": ["middle"],
            "toolsets": [{"type": "background_agents"}],
        },
        "middle": {
            "model": "python/traced_team:middle",
            "sub_agents": ["worker", "crashing", "waiting", "knowing"],
            "toolsets": [{"type": "background_agents"}],
        },
        "worker": {"model": "python/traced_team:worker", "toolsets": [{"type": "think"}]},
        "crashing": {
            "model": "python/traced_team:crash",
            "toolsets": [{"type": "python", "functions": ["traced_team:die"]}],
            "restart": {"policy": "transient", "max_restarts": 1, "backoff": 0.01},
        },
        "waiting": {"entrypoint": "traced_team:wait"},
        "knowing": {"entrypoint": "traced_team:tell"},
    }
}

UNTOLD = "the words of a secret task"


def _calls(*calls: tuple[str, dict[str, Any]], said: str = "") -> dict[str, Any]:
    tools = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for number, (name, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": said or None, "tool_calls": tools}


def _turn(messages: list[dict[str, Any]]) -> int:
    return sum(message["role"] == "assistant" for message in messages)


def lead(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Start one task and wait for another."""
    if _turn(messages) == 0:
        started = {"agent": "middle", "task": UNTOLD}
        return _calls(("run_background_agent", started), ("transfer_task", {"agent": "middle", "task": "quick"}))
    return "the end"


def middle(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Start one of each, unless it is to be quick."""
    if _turn(messages) == 0 and any(UNTOLD in str(message["content"]) for message in messages):
        agents = ("worker", "crashing", "waiting", "knowing")
        return _calls(*(("run_background_agent", {"agent": agent, "task": "go"}) for agent in agents))
    return "all done"


def worker(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Call a tool and answer."""
    return _calls(("think", {"thought": UNTOLD}), said="Let me think.") if _turn(messages) == 0 else "worked"


def crash(_messages: list[dict[str, Any]], _tools: object) -> Any:
    """Call a tool that nobody survives."""
    return _calls(("die", {}))


def die() -> str:
    """Die of SIGSEGV."""
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)
    return "never"


def wait(task: Any) -> None:
    """Wait until somebody kills the process."""
    task.emit("waiting\n")
    time.sleep(60)


def tell(task: Any) -> dict[str, Any]:
    """Return what the code of a task knows of its trace."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    handler.setFormatter(logging.Formatter("%(otelTraceID)s %(otelSpanID)s %(subactors_task)s %(subactors_agent)s"))
    logger = logging.getLogger("of a task")
    logger.addHandler(handler)
    logger.warning("Listen.")
    return {
        "id": task.id,
        "traceparent": task.traceparent,
        "variable": os.environ.get("TRACEPARENT", ""),
        "record": heard.getvalue().split(),
        "modules": [name for name in sys.modules if name.startswith("opentelemetry.sdk")],
    }


def untraced(task: Any) -> bool:
    """Return whether the task knows of no trace, and of nothing that would make one."""
    return not (
        task.traceparent or "TRACEPARENT" in os.environ or [name for name in sys.modules if "telemetry" in name]
    )


def start_worker(task: Any) -> Any:
    """Have the worker work."""
    return task.runtime.wait([task.runtime.run("worker", "go")])[0].result


def raise_hostile(task: Any) -> None:
    """Fail with the text of the task as the reason."""
    raise ValueError(task.text)
