"""A report: its tasks, each in a process of its own."""

from __future__ import annotations

from typing import Any

from subactors.runtime import EntrypointTask, TaskFailed

__all__ = ["research", "write"]


def research(task: EntrypointTask) -> dict[str, Any]:
    """Look into one topic; in place of a search that uses a model by a client of its own."""
    found = f"There is much to say about {task.text}."
    task.usage(input_tokens=10, output_tokens=len(found.split()))
    return {"topic": task.text, "found": found}


async def write(task: EntrypointTask) -> str:
    """Have all topics looked into at the same time, and then a report written."""
    topics = [topic.strip() for topic in task.text.split(",")]
    findings = []
    async for outcome in task.async_runtime.map("researcher", topics, on_error="collect"):
        findings.append(str(outcome) if isinstance(outcome, TaskFailed) else outcome["found"])
        task.progress(len(findings), len(topics), "topics looked into")
    return await _answer(task, [{"role": "user", "content": "\n".join(findings)}])


async def _answer(task: EntrypointTask, messages: list[dict[str, Any]]) -> str:
    """Ask the model until it answers, and make the calls that it asks for."""
    await task.tools.aopen()
    while True:
        answer = await task.model.complete(messages, task.tools.schemas, stream=True)
        messages.append(answer.message)
        if not answer.tool_calls:
            return answer.text
        for call in answer.tool_calls:
            told = await task.tools.acall(call.name, call.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": told.text})
