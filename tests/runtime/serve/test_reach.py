"""Reach: what a client's user is asked by one way after the other, as each breaks off."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from mcp.shared.exceptions import NoBackChannelError
from mcp_types import ElicitResult
from starlette.types import Message, Receive, Scope, Send
from subactors.runtime.serve.clients import SESSION, Visits
from subactors.runtime.serve.elicitation import first_answer
from subactors.runtime.serve.presence import Presence
from subactors.runtime.serve.reach import VISIT, Reach, Visit, Way


def call(reach: Reach, number: int, visit: Visit) -> AbstractContextManager[None]:
    """A call that is not answered during a `with` block."""
    context: Any = SimpleNamespace(
        session=f"session of call {number}",
        request_id=number,
        protocol_version="2025-06-18",
        request=SimpleNamespace(scope={VISIT: visit}),
    )
    return reach.call(context)


class User:
    """Is asked by calls, and answers."""

    def __init__(self, *ended: int) -> None:
        self.ended = ended
        self.asked: list[int | None] = []
        self.cancelled: list[int | None] = []
        self.answers: dict[int | None, asyncio.Future[ElicitResult]] = {}

    async def ask(self, way: Way) -> ElicitResult:
        self.asked.append(way.call)
        if way.call in self.ended:
            raise NoBackChannelError("elicitation/create")
        self.answers[way.call] = asyncio.get_running_loop().create_future()
        try:
            return await self.answers[way.call]
        except asyncio.CancelledError:
            self.cancelled.append(way.call)
            raise

    async def is_asked(self, *calls: int | None) -> None:
        while self.asked != [*calls]:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)

    def accepts(self, call: int | None, word: str) -> None:
        self.answers[call].set_result(ElicitResult(action="accept", content={"answer": word}))


def test_a_user_is_asked_along_with_the_next_call_if_one_has_just_been_answered() -> None:
    async def main() -> ElicitResult | None:
        reach, user = Reach(), User(1)
        with call(reach, 1, Visit()):
            asking = asyncio.create_task(first_answer(reach, user.ask))
            await user.is_asked(1)
        with call(reach, 2, Visit()):
            await user.is_asked(1, 2)
        user.accepts(2, "Ada")
        return await asking

    answered = asyncio.run(main())
    assert answered is not None
    assert answered.content == {"answer": "Ada"}


@pytest.mark.parametrize("which", [1, 2])
def test_of_a_form_that_is_made_anew_as_its_call_breaks_off_the_first_answer_to_either_counts(which: int) -> None:
    async def main() -> tuple[ElicitResult | None, list[int | None]]:
        reach, user, broken = Reach(), User(), Visit()
        asking = asyncio.create_task(first_answer(reach, user.ask))
        with call(reach, 1, broken), call(reach, 2, Visit()):
            await user.is_asked(1)
            reach.over(broken)
            await user.is_asked(1, 2)
        user.accepts(which, "Ada")
        return await asking, user.cancelled

    answered, cancelled = asyncio.run(main())
    assert answered is not None
    assert answered.content == {"answer": "Ada"}
    assert cancelled == [3 - which]


def test_a_form_on_a_clients_own_stream_is_cancelled_before_it_is_made_anew_on_the_next() -> None:
    async def main() -> None:
        reach, user = Reach(), User()
        reach.session = object()  # type: ignore[assignment]  # nothing is sent by it
        asking = asyncio.create_task(first_answer(reach, user.ask))
        with reach.stream():
            await user.is_asked(None)
        with reach.stream():
            await user.is_asked(None, None)
            assert user.cancelled == [None]
        user.accepts(None, "Ada")
        await asking

    asyncio.run(main())


def test_the_form_of_a_call_that_broke_off_stays_open_as_a_client_opens_a_stream() -> None:
    async def main() -> list[int | None]:
        reach, user, broken = Reach(), User(), Visit()
        reach.session = object()  # type: ignore[assignment]  # nothing is sent by it
        asking = asyncio.create_task(first_answer(reach, user.ask))
        with call(reach, 1, broken):
            await user.is_asked(1)
            reach.over(broken)
        with reach.stream():
            await user.is_asked(1, None)
        user.accepts(1, "Ada")
        await asking
        return user.cancelled

    assert asyncio.run(main()) == [None]


def test_what_was_sent_along_with_a_call_may_be_lost_until_its_answer_is_written() -> None:
    async def main() -> bool:
        reach, visit = Reach(), Visit()
        with call(reach, 1, visit):
            way = await reach.way()
        assert way is not None
        reach.over(visit)
        with call(reach, 2, Visit()):
            following = await reach.after(way)
        return following is not None and following.call == 2

    assert asyncio.run(main())


@pytest.mark.parametrize("breaks_off", [True, False])
def test_a_call_is_answered_once_the_end_of_its_answer_is_sent(*, breaks_off: bool) -> None:
    scope: Scope = {"type": "http", "method": "POST", "headers": [(SESSION.encode(), b"x")]}
    answered_before: list[bool] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        if not breaks_off:
            await send({"type": "http.response.body", "body": b""})

    async def send(_: Message) -> None:
        answered_before.append(scope[VISIT].is_answered)

    async def receive() -> Message:
        raise AssertionError("The application asks for nothing.")

    async def main() -> None:
        presence = Presence(60.0, lambda: None)
        client: Any = SimpleNamespace(client=SimpleNamespace(reach=Reach()), presence=presence)
        clients: Any = SimpleNamespace(known=lambda _: client)
        await Visits(app, clients)(scope, receive, send)
        presence.close()

    asyncio.run(main())
    assert not any(answered_before)
    assert scope[VISIT].is_over
    assert scope[VISIT].is_answered is not breaks_off
