"""A module that is imported ahead of tasks, and puts code of its own in the place of the agent's loop.

So a task whose agent has no code of its own sends what such a task never sends.
"""

from __future__ import annotations

import json
from typing import Any

import forging_entrypoints
from subactors.runtime.child import work

__all__: list[str] = []


async def _run_agent(*_: Any, task: str, **__: Any) -> str:
    return json.dumps([forging_entrypoints.answer_to(request) for request in forging_entrypoints.FORGED[task]])


work.run_agent = _run_agent
