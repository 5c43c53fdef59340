"""The dashboard's page in a real browser, on a real host's tasks, found by role and label as people find things."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import Tab, browser, tab, violations
from dashboard_pages import OVERLAPS, WRAPPED, filtered, focused, has, live, row, short, stop
from dashboards import Served, dashboard
from first_forms import first_always
from subactors.runtime.terminal.control_sequences import clean, visible
from watched import MAPS, Watched, ended_run, watched

pytestmark = pytest.mark.slow  # a browser draws without a graphics card here


HOSTILE = (
    '<img src=x onerror="alert(1)"><script>alert(2)</script>{{7*7}}${alert(3)}'
    "\x1b[31mred\x1b]0;title\x07\u202egnirts\u2066\x00\x08\u200f javascript:alert(4) \ufeff"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def host(root: Path, chromium: Any) -> Iterator[Watched]:
    del chromium  # where there is none, nothing is started
    with watched(root) as host:
        yield host


@pytest.fixture(scope="module")
def served(root: Path, host: Watched) -> Iterator[Served]:
    del host  # it is there first
    with dashboard(root) as served:
        yield served


@pytest.fixture
def seen(chromium: Any, served: Served) -> Iterator[Tab]:
    with tab(chromium) as seen:
        seen.page.goto(served.address)
        live(seen)
        yield seen


def test_a_tree_is_folded_filtered_and_opened_and_the_address_keeps_all_of_it(
    seen: Tab, served: Served, host: Watched
) -> None:
    host.start("fails", "first of all")
    owner = host.start("leads", "the survey", [["speaks", "one"], ["fails", "no such file"]])
    page = seen.page
    filtered(seen, "run:" + host.host.run.name[-6:] + " no such file")
    failed = page.get_by_role("row").filter(has_text="no such file")
    has(failed, "failed")
    has(page.get_by_role("row").filter(has_text="process"), "running, .*failed")
    assert row(seen, owner).get_attribute("aria-level") == "2"
    assert failed.get_attribute("aria-level") == "3"
    assert page.get_by_role("row").filter(has_text="speaks").count() == 0

    failed.click()
    page.get_by_role("complementary").get_by_text("ValueError: no such file").first.wait_for()
    for name, text in (
        ("Conversation", "It has no conversation."),
        ("Output", "It has said nothing."),
        ("Attempts", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*Traceback"),
    ):
        page.get_by_role("tab", name=name).click()
        has(page.get_by_role("tabpanel", name=name), text)
    assert "q=run" in page.url
    page.reload()
    live(seen)
    assert page.get_by_label("Filter").input_value().endswith("no such file")
    page.get_by_role("complementary").get_by_text("ValueError: no such file").first.wait_for()

    page.keyboard.press("Escape")
    filtered(seen, "no task has this")
    page.get_by_text("Nothing fits the filter.").wait_for()
    assert page.evaluate("document.querySelector('#empty').offsetTop - document.querySelector('#head').offsetTop") < 40
    filtered(seen, "")
    row(seen, owner).press("ArrowLeft")
    page.locator(f"[aria-expanded=false]:has-text('{short(owner)}')").wait_for()
    assert page.get_by_role("row").filter(has_text="no such file").count() == 0
    row(seen, owner).press("ArrowRight")
    has(page.get_by_role("row"), "no such file")
    stop(served, owner)


def test_the_browser_goes_back_to_what_was_open_before(seen: Tab, served: Served, host: Watched) -> None:
    first, second = (host.start("speaks", f"the {name} of two") for name in ("first", "second"))
    page, beside = seen.page, seen.page.get_by_role("complementary")
    filtered(seen, "of two")
    for task_id in (first, second):
        row(seen, task_id).click()
        has(beside.get_by_role("heading"), short(task_id))
    page.go_back()
    has(beside.get_by_role("heading"), short(first))
    has(page.get_by_role("log", name="Output"), "the first of two")
    page.go_back()
    beside.wait_for(state="hidden")
    assert page.get_by_label("Filter").input_value() == "of two"
    page.go_forward()
    has(beside.get_by_role("heading"), short(first))
    stop(served, first, second)


def test_output_is_followed_until_somebody_scrolls_up(seen: Tab, host: Watched, served: Served, tmp_path: Path) -> None:
    more = tmp_path / "more"
    task_id = host.start("speaks", "the beginning", {"file": str(more)})
    row(seen, task_id).click()
    output = seen.page.get_by_role("log", name="Output")
    has(output, "the beginning")
    more.write_text("".join(f"line {number}\n" for number in range(300)))
    has(output, "line 299")
    assert output.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 40
    output.evaluate("e => { e.scrollTop = 0; }")
    with more.open("a") as file:
        file.write("the end\n")
    has(output, "the end")
    assert output.evaluate("e => e.scrollTop") == 0
    stop(served, task_id)


def test_a_question_comes_first_and_is_answered_with_a_click(seen: Tab, host: Watched) -> None:
    task_id = host.start("asks", "Deploy now?", {"choices": ["yes", "no"]})
    asked = seen.page.get_by_role("region", name="Questions").get_by_role("listitem").filter(has_text="Deploy now?")
    has(asked, short(task_id))
    has(row(seen, task_id), "waiting")
    assert row(seen, task_id).locator("rect.waits").get_attribute("width") is not None
    asked.get_by_role("button", name="yes").click()
    asked.wait_for(state="hidden")
    row(seen, task_id).click()
    seen.page.get_by_role("tab", name="Result").click()
    has(seen.page.get_by_role("tabpanel"), "told: yes")


def test_a_task_is_told_something_and_a_question_answered_by_keys_alone_from_wherever_they_are(
    seen: Tab, host: Watched
) -> None:
    task_id = host.start("hears", "go")
    host.start("asks", "Which way?")
    page, beside = seen.page, seen.page.get_by_role("complementary")
    focused(seen, ".row[aria-rowindex='2']")
    page.keyboard.press("/")
    page.keyboard.type(short(task_id))
    has(row(seen, task_id), "running")
    page.evaluate("document.activeElement.blur()")
    for key in ("Home", "ArrowDown", "ArrowLeft", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    has(beside.get_by_role("heading"), short(task_id))

    has(page.get_by_role("region", name="Questions"), "Which way")
    page.keyboard.press("a")
    focused(seen, "[aria-label='Answer to asks']")
    page.keyboard.press("Escape")
    focused(seen, f"#row-{task_id}")
    page.keyboard.press("a")
    page.keyboard.type("this way")
    page.keyboard.press("Enter")
    focused(seen, f"#row-{task_id}")

    page.keyboard.press("t")
    page.keyboard.type("left, please")
    page.keyboard.press("Enter")
    has(row(seen, task_id), "completed")
    seen.page.get_by_role("tab", name="Result").click()
    has(seen.page.get_by_role("tabpanel"), "heard: left, please")


def test_a_stop_names_what_falls_with_it_and_asks_once(seen: Tab, host: Watched) -> None:
    owner = host.start("leads", "all", [["speaks", "one"], ["hears", "two"]])
    has(row(seen, owner), "all have been started")
    row(seen, owner).focus()
    seen.page.keyboard.press("s")
    asked = seen.page.get_by_role("dialog")
    has(asked, "fall 2 tasks")
    asked.get_by_role("button", name="Stop all 3").wait_for()
    seen.page.keyboard.press("Enter")
    asked.wait_for(state="hidden")
    has(row(seen, owner), "running")
    seen.page.keyboard.press("s")
    seen.page.keyboard.press("y")
    has(row(seen, owner), "stopped")
    filtered(seen, "status:stopped two")
    has(seen.page.get_by_role("row").filter(has_text="hears"), "stopped")


def test_hostile_text_is_text_in_every_field(seen: Tab, host: Watched, served: Served) -> None:
    ids = [
        host.start("fails", f"{HOSTILE} fails"),
        host.start("speaks", f"{HOSTILE} speaks"),
        host.start("asks", f"{HOSTILE} asks", {"choices": [f"{HOSTILE} yes", "no"]}),
        host.start(
            "calls", json.dumps([["think", {"thought": HOSTILE}], ["shell", {"cmd": f"echo '{HOSTILE[:60]}'"}]])
        ),
        host.start("crashes", f"{HOSTILE} crashes"),
    ]
    page = seen.page
    has(row(seen, ids[3]), "completed")
    for task_id in ids:
        row(seen, task_id).click()
        for name in ("Output", "Conversation", "Result", "Attempts", "Log", "Details"):
            page.get_by_role("tab", name=name).click()
            page.get_by_role("tabpanel", name=name).wait_for()
        has(page.get_by_role("complementary"), "onerror")
    filtered(seen, HOSTILE)
    text = page.evaluate("document.body.textContent")
    assert "\\u202egnirts\\u2066" in text, "a question names what cannot be seen"
    assert "<script>alert(2)</script>{{7*7}}" in text
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200f]", text) is None
    assert page.evaluate("document.querySelectorAll('img, script:not([src]), iframe, a').length") == 0
    stop(served, *ids)


def test_the_page_takes_out_and_names_the_same_characters_as_a_terminal(seen: Tab) -> None:
    text = "a".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    rule = "text => import('/page/dom.js').then(({ whole }) => whole(text).data)"
    assert seen.page.evaluate(rule, text) == visible(text)
    for joined in ("\u200dab", "a\u200cb", "क्\u200dष", "👨\u200d👩", "\u0645\u200c", "\U000e0041"):
        both = seen.page.evaluate(
            "text => import('/page/dom.js').then(({ clean, whole }) => [clean(text), whole(text).data])", joined
        )
        assert both == [clean(joined), visible(joined)]


def test_a_task_that_has_ended_is_resumed_by_keys_alone(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    former = ended_run(tmp_path)
    with dashboard(tmp_path) as served, tab(chromium) as seen:
        seen.page.goto(served.address)
        live(seen)
        seen.page.keyboard.press("p")
        row(seen, former).press("v")
        seen.page.get_by_role("complementary").get_by_text("completed").first.wait_for()
        for key, view in (("v", "Conversation"), ("v", "Result"), ("V", "Conversation")):
            row(seen, former).press(key)
            seen.page.get_by_role("tab", name=view, selected=True).wait_for()
        row(seen, former).press("r")
        field = seen.page.get_by_placeholder("say something to go on with")
        field.wait_for()
        seen.page.wait_for_function("document.activeElement.matches('textarea')")
        seen.page.keyboard.type("and now")
        seen.page.keyboard.press("Enter")
        beside = seen.page.get_by_role("complementary")
        has(beside.get_by_role("heading"), f"root (?!{short(former)})")
        has(beside, "completed")
        has(beside.get_by_role("log", name="Output"), "\\[\\]")


def test_a_host_that_dies_is_seen_to_be_gone(seen: Tab, root: Path) -> None:
    with watched(root) as other:
        task_id = other.start("speaks", "the last words")
        has(row(seen, task_id), "the last words")
        other.host.kill()
        has(row(seen, task_id), "failed")
        has(row(seen, task_id), "The host died.")
        has(seen.page.get_by_role("row").filter(has_text="has ended"), "over")


def test_a_page_whose_server_is_started_anew_says_so_and_goes_on_with_the_new_address(
    chromium: Any, root: Path, host: Watched
) -> None:
    task_id = host.start("speaks", "still here")
    with tab(chromium) as seen:
        with dashboard(root) as served:
            seen.page.goto(served.address)
            live(seen)
            port = served.origin.rpartition(":")[2]
        seen.page.get_by_text("reconnecting").wait_for()
        assert seen.page.evaluate("getComputedStyle(document.querySelector('#task')).opacity") == "0.55"
        with dashboard(root, "--port", port) as served:
            seen.page.get_by_role("alert").filter(has_text="Open the address").wait_for()
            seen.page.goto(served.address)
            live(seen)
            has(row(seen, task_id), "still here")
            assert "token" not in seen.page.url
            stop(served, task_id)


def test_a_wrong_token_is_told_what_to_do_and_puts_no_other_tab_out(seen: Tab, served: Served) -> None:
    with seen.page.context.new_page() as other:
        other.goto(f"{served.origin}/#token=wrong")
        other.get_by_role("alert").filter(has_text="Open the address").wait_for()
        assert other.get_by_role("row").count() == 1
        seen.page.reload()
        live(seen)
        other.reload()
        other.get_by_text("live", exact=True).first.wait_for()


def test_sums_of_a_run_are_those_of_its_tasks_at_each_moment(seen: Tab) -> None:
    sums = """import("/page/model.js").then(({ Model }) => {
      const model = new Model(), used = (n) => ({ usage: { input_tokens: n, output_tokens: 0, cost: 0 } });
      const task = { id: "t", run: "r", status: "running", questions: [], ...used(1) };
      const now = new Date().toISOString(), nothing = { now, runs: [], runs_gone: [], gone: [] };
      model.reset({ now, runs: [{ id: "r" }], tasks: [task], samples: {} });
      return [1, 2].map((n) => {
        model.take({ ...nothing, changed: [{ id: "t", ...used(n) }] });
        return [model.totals().tokens, model.totals("r").tokens, model.totals("no").tokens];
      });
    })"""
    assert seen.page.evaluate(sums) == [[1, 1, 0], [2, 2, 0]]


def test_seven_tabs_are_all_live(seen: Tab, host: Watched, served: Served) -> None:
    pages = [seen.page]
    for _ in range(6):
        pages.append(seen.page.context.new_page())
        pages[-1].goto(served.origin)
        pages[-1].bring_to_front()
        pages[-1].get_by_text("live", exact=True).first.wait_for()
    task_id = host.start("speaks", "seen by all")
    for page in pages:
        page.bring_to_front()
        page.get_by_role("row").filter(has_text=short(task_id)).filter(has_text="seen by all").wait_for()
    stop(served, task_id)


@first_always(("width", "scheme"), [(400, "light"), (2000, "dark"), (1000, "dark"), (2000, "light")], keep=2)
def test_it_fits_and_is_accessible(chromium: Any, served: Served, host: Watched, width: int, scheme: str) -> None:
    asks = host.start("asks", "Which colour?")
    owner = host.start("leads", "x" * 300, [["fails", "y" * 300], ["speaks", "z" * 300]])
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with tab(chromium, **options) as seen:
        page = seen.page
        page.goto(served.address)
        live(seen)
        filtered(seen, "status:running")  # other tests have left more rows than fit
        has(row(seen, owner), ".")
        page.locator(f"#row-{owner} .c-memory polyline[points*=',']").wait_for(state="attached")
        assert violations(page) == []
        row(seen, owner).click()
        page.get_by_role("complementary").get_by_role("tab", name="Details").click()
        has(page.get_by_role("tabpanel"), "Works in")
        assert page.evaluate(WRAPPED) == []
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        sizes = page.evaluate(
            "[...document.querySelectorAll('.row > *')].map(e => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 11
        assert page.evaluate(OVERLAPS) == []
    stop(served, asks, owner)


def test_a_group_shows_its_items_and_offers_no_word_to_it(seen: Tab, host: Watched, served: Served) -> None:
    owner = host.start("calls", MAPS)
    filtered(seen, "agent:map_speaks")
    page, beside = seen.page, seen.page.get_by_role("complementary")
    page.get_by_role("row").filter(has_text="map_speaks").click()
    page.get_by_role("tab", name="Details").click()
    has(page.get_by_role("tabpanel"), "Items12.*item 0.*item 9and 2 more")
    page.keyboard.press("t")
    beside.get_by_text("A group hears nothing itself").wait_for()
    assert beside.get_by_role("button", name="Steer").count() == 0
    assert beside.get_by_role("textbox").count() == 0
    beside.get_by_role("button", name=re.compile("^speaks ")).first.click()
    beside.get_by_role("button", name="Steer").wait_for()
    stop(served, owner)
