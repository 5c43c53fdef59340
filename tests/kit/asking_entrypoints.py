"""Functions and models for tasks that ask questions."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import strict_server_rules
from subactors.runtime import EntrypointTask, NoAnswerError

Message = dict[str, Any]


def asks(task: EntrypointTask) -> str:
    """Ask what its data says, and answer with what it was told, or with the error."""
    given = dict(task.data or {})
    try:
        said: str = task.ask(given.pop("question", "left or right?"), **given)
    except NoAnswerError as error:
        return f"no answer: {error}"
    return f"told: {said}"


async def asks_async(task: EntrypointTask) -> list[str]:
    """Ask two things at the same time."""
    return list(await asyncio.gather(task.ask("first?", timeout=30), task.ask("second?", timeout=30)))


async def asks_much(task: EntrypointTask) -> None:
    """Ask more at the same time than may be asked, and say what becomes of the last."""
    asking = [asyncio.ensure_future(task.ask(f"{number}?")) for number in range(101)]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    task.emit(str(next(iter(done)).exception()))
    await asyncio.wait(asking)


async def gives_up(task: EntrypointTask) -> str:
    """Ask, and cancel the wait; then ask something else."""
    waiting = asyncio.ensure_future(task.ask("never mind?"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.wait([waiting])
    said: str = await task.ask("and this?")
    return said


def dies_while_it_asks(task: EntrypointTask) -> str:
    """Ask in a thread, and fail."""
    import threading  # noqa: PLC0415 - for this one

    threading.Thread(target=task.ask, args=("is anybody there?",), daemon=True).start()
    task.wait_for_stop(0.3)
    raise ValueError("mine")


def answers_its_own(task: EntrypointTask) -> str:
    """Start one that asks, answer it, and return what it has made of that."""
    other = task.runtime.run("asks", "go", data={"question": "what now?"})
    while not (questions := other.view().questions):
        task.wait_for_stop(0.01)
    task.runtime.answer(questions[0], "go home")
    result: str = other.result(30)
    return result


def does_what_it_is_told(messages: list[Message], tools: list[Message]) -> Message | str:
    """A model: it calls the tools that the task lists, one after the other, and answers with what they answered."""
    del tools
    answers = [str(message["content"]) for message in messages if message["role"] == "tool"]
    text = "\n".join(str(message["content"]) for message in messages if message["role"] == "system")
    task = text.partition("<task>\n")[2].partition("\n</task>")[0]
    if not task:
        task = next(str(message["content"]) for message in messages if message["role"] == "user")
    calls = json.loads(task)
    if len(answers) == len(calls):
        return json.dumps(answers)
    name, arguments = calls[len(answers)]
    return {"content": None, "tool_calls": [{"function": {"name": name, "arguments": json.dumps(arguments)}}]}


def leads_and_answers(messages: list[Message], tools: list[Message]) -> Message | str:
    """A model: it starts `asker`, answers too early, then answers what that asks, and at last says what it was told."""
    del tools
    strict_server_rules.check(messages, short_ids=False)
    last = str(messages[-1]["content"])
    if not any(message["role"] == "assistant" for message in messages):
        work = json.dumps([("ask_parent", {"question": "Which?"})])
        return _calling("run_background_agent", agent="asker", task=work)
    if question := re.search(r"question_\w+", last.partition("<background_agents>")[2]):
        return _calling("answer_background_agent", question=question[0], answer="this one")
    said = [message["content"] for message in messages if message["role"] != "system"]
    return json.dumps(said) if "completed after" in str(said) else "I am done."


def leads_until_told(messages: list[Message], tools: list[Message]) -> Message | str:
    """A model: it starts `hears`, answers too early, and ends that when somebody speaks to it."""
    del tools
    strict_server_rules.check(messages, short_ids=False)
    last = str(messages[-1]["content"])
    if not any(message["role"] == "assistant" for message in messages):
        return _calling("run_background_agent", agent="hears", task="go")
    if "<message from=" in last:
        (started,) = re.findall(r"Started (agent_task_\w+)", "".join(str(message["content"]) for message in messages))
        return _calling("steer_background_agent", task_id=started, message="end")
    if messages[-1]["role"] == "tool" and "completed" not in last:
        return "I am done."
    return "The end: " + last


def _calling(name: str, **arguments: Any) -> Message:
    return {"content": None, "tool_calls": [{"function": {"name": name, "arguments": json.dumps(arguments)}}]}


def asks_aside(task: EntrypointTask) -> str:
    """Ask in a thread, and go on with something else until the end."""
    import threading  # noqa: PLC0415 - for this one

    threading.Thread(target=task.ask, args=("is anybody there?",), kwargs={"timeout": 1e6}, daemon=True).start()
    task.wait_for_stop(60)
    return "got round it"
