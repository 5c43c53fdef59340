"""The dashboard's page in a real browser: answers that come after something else was asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from browsers import browser, tab
from dashboard_pages import filtered, has, row, short, stop
from dashboards import Served, dashboard
from run_folders import past_run, task_row
from watched import Watched, watched

BEFORE = "agent_task_00000007"

pytestmark = pytest.mark.slow  # a browser draws without a graphics card here


def test_what_is_answered_after_something_else_was_asked_for_is_passed_over_and_all_else_is_shown(
    tmp_path: Path,
) -> None:
    root = tmp_path / "state"
    with browser(tmp_path) as chromium, watched(root) as host, dashboard(root) as served:
        _check_late_answers(chromium, host, served, root)
        _check_a_conversation_that_comes_after_the_rest(chromium, host, served)


def _check_late_answers(chromium: Any, host: Watched, served: Served, root: Path) -> None:
    past_run(root, task_row(7, task="of before"))
    first, second = host.start("hears", "first"), host.start("hears", "second")
    held: list[Any] = []
    with tab(chromium) as seen:
        page = seen.page
        page.route(re.compile(r"/api/tasks\?past=0"), lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
        with page.expect_request(re.compile(r"/api/tasks\?past=0")):
            page.goto(served.address)
        page.get_by_label("past").check()
        page.get_by_label("Filter").fill("before")
        row(seen, BEFORE).wait_for()
        _late(page, held)
        assert row(seen, BEFORE).count() == 1

        page.route(re.compile("/steer$"), lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
        filtered(seen, "agent:hears")
        row(seen, first).click()
        field = page.get_by_role("complementary").get_by_role("textbox")
        field.fill("a word")
        with page.expect_request(re.compile("/steer$")):
            page.get_by_role("button", name="Steer").click()
        row(seen, second).click()
        page.get_by_role("complementary").get_by_text(short(second)).first.wait_for()
        field.fill("long words for another")
        _late(page, held)
        assert field.input_value() == "long words for another"
    stop(served, first, second)


def _check_a_conversation_that_comes_after_the_rest(chromium: Any, host: Watched, served: Served) -> None:
    task = host.start("asks", "Which way?")
    rest: list[Any] = []
    messages: list[Any] = []
    with tab(chromium) as seen:
        page = seen.page
        page.goto(served.address)
        page.route(re.compile(f"/api/tasks/{task}$"), lambda route: rest.append(route))  # noqa: PLW0108 - Playwright marks what it is given
        page.route(re.compile("/messages"), lambda route: messages.append(route))  # noqa: PLW0108 - Playwright marks what it is given
        panel = page.get_by_role("complementary")
        with page.expect_request(re.compile(f"/api/tasks/{task}$")):
            row(seen, task).click()
        field = panel.get_by_label("Answer to asks")
        field.fill("half an answer")
        with page.expect_request(re.compile("/messages")):
            page.get_by_role("tab", name="Conversation").click()
        _late(page, rest)
        _late(page, messages)

        has(page.get_by_role("tabpanel", name="Conversation"), "It has no conversation.")
        assert field.input_value() == "half an answer"
    stop(served, task)


def _late(page: Any, held: list[Any]) -> None:
    """Let a request go on, and wait until the page has had time for its answer."""
    route = held.pop()
    with page.expect_response(route.request.url) as answer:
        route.continue_()
    answer.value.finished()
    page.evaluate("fetch('/').then(answer => answer.text())")  # what is asked later is answered later
