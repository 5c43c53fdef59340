"""Questions of tasks to users of MCP clients: those that wait hold no thread, and keep no other from being asked."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.client.client import Client
from mcp_face import asks, called, run
from subactors.runtime import people as people_module
from subactors.runtime.errors import RunError
from subactors.runtime.host import Host
from subactors.runtime.serve.client import Client as OurClient
from subactors.runtime.serve.elicitation import Elicitation
from subactors.runtime.serve.face import Face
from subactors.runtime.serve.inputs import Inputs
from subactors.runtime.serve.offer import Offer
from subactors.runtime.tasks.questions import Question
from subactors.runtime.teamfile.load import team_from_mapping

TEAM = {
    "agents": {
        "worker": {
            "model": "python/asking_entrypoints:does_what_it_is_told",
            "toolsets": [{"type": "user_prompt"}],
        }
    }
}


def test_questions_that_wait_for_users_hold_no_thread_and_keep_no_other_from_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_module, "_MOST_SHOWN", 1)
    asked: set[str] = set()
    threads: list[str] = []
    all_asked = asyncio.Event()

    async def answer(_: Any, params: Any) -> types.ElicitResult:
        asked.add(params.message.rpartition(" ")[2])
        if len(asked) == 3:
            threads.extend(thread.name for thread in threading.enumerate())
            all_asked.set()
        await all_asked.wait()
        return types.ElicitResult(action="accept", content={"answer": "Ada"})

    async def main(host: Host) -> str:
        offer = Offer(host, "worker")
        elicitation = Elicitation(host, lambda: [client])
        client = OurClient(host, offer, elicitation.attach)
        face = Face(offer, lambda _: client, prefers_sessions=False)
        with client.reach.stream():
            async with Client(face.server, mode="legacy", elicitation_callback=answer) as connected:
                for each in "abc":
                    await run(connected, "worker", asks(each))
                said = await called(connected, "wait_background_agents")
        elicitation.close()
        await face.close()
        return said

    with Host(team_from_mapping(TEAM), state_dir=tmp_path, standby=0, for_many=False) as host:
        assert asyncio.run(main(host)).count("Ada") >= 3
    assert asked == {"a", "b", "c"}
    assert "subactors-question" not in threads


def test_an_approval_is_asked_in_answers_as_often_as_may_be_and_denied_then() -> None:
    handed_in = []

    async def answer(_: str, text: str) -> None:
        handed_in.append(text)
        if not text.startswith("deny"):
            raise RunError("That is none of them.")

    async def main() -> dict[str, Any]:
        inputs = Inputs(answer)
        question = Question(id="question_1", task_id="t", agent="a", text="May it?", kind="approval", choices=["deny"])
        while requests := inputs.requests([question]):
            said = types.ElicitResult(action="accept", content={"answer": "perhaps"})
            await inputs.take(dict.fromkeys(requests, said))
        return requests

    assert asyncio.run(main()) == {}
    assert handed_in == [*["perhaps"] * people_module.MOST_TRIES, f"deny: {people_module.NONE_FITS}"]
