"""Agent run: puts an agent together from its toolsets, its model and its first messages, and runs the loop over them.

The same in a task's process and in a host that runs an orchestrator; `Surroundings` brings in what differs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..models.base import Message, Model
from ..models.open import open_agent_model
from ..tasks.messages import AwaitRate
from ..team.config import AgentConfig
from ..toolsets.approvals import Approvals
from ..toolsets.base import ToolBox
from ..toolsets.build import build_toolsets
from ..toolsets.letters import LettersToolset
from .continuation import with_unknown_effects
from .loop import AgentLoop, LoopListener
from .prompt import starting_messages
from .prompt_files import prompt_file_paragraphs
from .surroundings import Surroundings

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..errors import RateLimitError
    from ..tasks.gateway import Gateway
    from .answer_check import AnswerCheck
    from .turn_budget import TurnBudget

__all__ = ["build_tool_box", "open_model_of", "run_agent"]


def build_tool_box(agent: AgentConfig, around: Surroundings, *, in_loop: bool = False) -> ToolBox:
    """Return an agent's tools; its `open` must be awaited before they are all there, and its `close` is owed.

    Args:
        agent: the agent.
        around: what it finds around it.
        in_loop: whether a loop of ours calls them; else a function's, or a host's.
    """
    toolsets = build_toolsets(
        agent,
        gateway=around.gateway,
        working_directory=around.working_directory,
        shared_directory=around.shared_directory,
        environ=around.environ,
        withheld=around.withheld,
        task=around.task,
        settings=around.settings,
        is_asked=around.is_asked,
        letters=around.letters,
        in_loop=in_loop,
    )
    return ToolBox(
        toolsets if around.letters is None else [*toolsets, LettersToolset(around.letters)],
        permissions=around.permissions,
        approve=Approvals(around.gateway).refusal if around.permissions.ask else None,
        limit=around.settings.max_answer,
    )


def open_model_of(agent: AgentConfig, around: Surroundings) -> Model:
    """Return an agent's model, with what stands in for it; its `close` is owed, in the event loop that used it.

    Raises:
        SubactorsError: a key is missing, or there is no such function.
    """
    return open_agent_model(
        agent,
        environ=around.environ,
        idle_timeout=around.settings.model_idle_timeout,
        rate_patience=around.settings.rate_patience,
        ask_for_turn=_asking(around.gateway),
    )


async def run_agent(
    agent: AgentConfig,
    around: Surroundings,
    listener: LoopListener,
    *,
    task: str,
    expected_output: str | None,
    is_sub_agent: bool,
    conversation: Sequence[Message] = (),
    began: Callable[[Sequence[Message]], None] | None = None,
    output_schema: str = "",
    budget: TurnBudget | None = None,
) -> Any:
    """Run an agent's loop to its final answer; toolsets and model are closed however it ends.

    The answer is text; with an output schema, plain data that fits it.

    Args:
        agent: the agent.
        around: what it finds around it.
        listener: hears what the loop does.
        task: what to do.
        expected_output: what the answer should look like.
        is_sub_agent: whether another agent gave the task.
        conversation: what an earlier attempt had come to, to be gone on with; empty: begin anew.
        began: is called when the loop begins, with the first messages of a new conversation, or with none.
        output_schema: the JSON schema that the answer must fit, as JSON text; empty: it may be anything.
        budget: what it may use; None: as its `max_iterations` has it.

    Raises:
        LimitError: a limit has ended the loop; it has what was handed back.
        SubactorsError: model or tools could not be opened, the model could not answer, or the loop ended without an
            answer, or without one that fits.
        Exception: whatever a `python/…` model raised.
    """
    model = open_model_of(agent, around)
    try:
        tools = build_tool_box(agent, around, in_loop=True)
        try:
            await tools.open()
            for sentence in tools.missing:
                listener.text(f"[{sentence} The task goes on without it.]\n")
            messages = _gone_on_with(conversation, tools)
            if not messages:
                wanted = (task, expected_output, output_schema)
                messages = _first_messages(agent, around, tools, wanted, is_sub_agent=is_sub_agent)
                if began is not None:
                    began(messages)
            elif began is not None:
                began(())
            check = _answer_check(output_schema)
            answer = await AgentLoop(agent, model, tools, listener, check=check, budget=budget).run(messages)
            return answer if check is None else check.value
        finally:
            await tools.close()
    finally:
        await model.close()


def _answer_check(output_schema: str) -> AnswerCheck | None:
    if not output_schema:
        return None
    from .answer_check import AnswerCheck  # noqa: PLC0415 - for tasks that have a schema

    return AnswerCheck(output_schema)


def _asking(gateway: Gateway) -> Callable[[RateLimitError, bool], Future[Any]]:
    """Return how a model asks the host for its turn, once it has met its rate limit."""

    def ask(limit: RateLimitError, refused: bool) -> Future[Any]:
        return gateway.ask(AwaitRate(limit.model[:200], limit.server[:200], refused, limit.after if refused else None))

    return ask


def _first_messages(
    agent: AgentConfig,
    around: Surroundings,
    tools: ToolBox,
    wanted: tuple[str, str | None, str],
    *,
    is_sub_agent: bool,
) -> list[Message]:
    task, expected_output, output_schema = wanted
    return starting_messages(
        agent,
        toolset_instructions=tools.instructions,
        files=_prompt_files(agent, around),
        sub_agents=around.sub_agents,
        task=task,
        expected_output=expected_output,
        today=dt.datetime.now().astimezone().date(),
        working_directory=str(around.working_directory),
        is_sub_agent=is_sub_agent,
        output_schema=output_schema,
    )


def _gone_on_with(conversation: Sequence[Message], tools: ToolBox) -> list[Message]:
    """Return an earlier attempt's conversation, with an answer to each call.

    Its model is told which toolsets are missing now, and were not then.
    """
    messages = with_unknown_effects(conversation)
    start = next((index for index, message in enumerate(messages) if message["role"] != "system"), len(messages))
    told = "\n".join(str(message["content"]) for message in messages[:start])
    news = [sentence for sentence in tools.missing if sentence not in told]
    if messages and news:
        messages.insert(start, {"role": "system", "content": "\n".join(["By now:", *news])})
    return messages


def _prompt_files(agent: AgentConfig, around: Surroundings) -> list[str]:
    # In a new folder there are none.
    folder = around.shared_directory if agent.workdir == "private" else around.working_directory
    return prompt_file_paragraphs(agent.add_prompt_files, folder, around.environ)
