"""The dashboard's page in a real browser beside very many tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from browsers import browser, tab
from dashboard_pages import filtered, has, live, row, stop
from dashboards import dashboard
from first_forms import first_always
from processes_and_waits import wait_until
from watched import watched

pytestmark = pytest.mark.slow  # a browser draws without a graphics card here


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.mark.timeout(180)
@first_always("count", [60, 500], keep=0)
def test_of_very_many_tasks_only_the_rows_in_sight_are_in_the_document(
    chromium: Any, tmp_path: Path, count: int
) -> None:
    with watched(tmp_path) as host, dashboard(tmp_path) as served, tab(chromium) as seen:
        page = seen.page
        page.goto(served.address)
        live(seen)
        owner = host.start("leads", "many", [["speaks", f"number {number}"] for number in range(count)])
        table = page.get_by_role("treegrid")
        wait_until(lambda: table.get_attribute("aria-rowcount") == str(count + 3), "all are known", 120)
        assert page.get_by_role("row").count() < 50
        row(seen, owner).press("End")
        has(page.get_by_role("row"), f"number {count - 1}")
        assert page.get_by_role("row").count() < 50
        filtered(seen, f"number {count // 2}")
        has(page.get_by_role("row"), f"number {count // 2}")
        stop(served, owner)
        has(row(seen, owner), "stopped")


@pytest.mark.timeout(180)
def test_beside_a_flood_of_a_thousand_tasks_the_page_and_the_server_keep_within_bounds(
    chromium: Any, tmp_path: Path
) -> None:
    with watched(tmp_path) as host, dashboard(tmp_path) as served, tab(chromium) as seen:
        page = seen.page
        page.goto(served.address)
        live(seen)
        before = psutil.Process(served.program.pid).memory_info().rss
        for number in range(1000):
            host.start("fails", f"number {number}")
        filtered(seen, "number 999")
        has(page.get_by_role("row"), "failed")
        assert psutil.Process(served.program.pid).memory_info().rss - before < 60_000_000
        assert page.evaluate("performance.memory.usedJSHeapSize") < 60_000_000
        assert page.evaluate("document.querySelectorAll('*').length") < 1500
