"""Browsers: a real one, Debian's Chromium through Playwright, which fails a test for whatever a page complains of.

It is no child of the tests' process: its own processes come and go as it likes. It ends with the block that has it.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from installed_programs import NotInstalledError, from_npm
from processes_and_waits import wait_until

PATIENCE = 30_000
"""Milliseconds in which something has to come to a page."""

_AXE = "4.14.1"

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Any]:
    """Have a browser; skips the test, with a word, where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed here: the extra browser-tests")
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("Chromium is not installed here: `apt-get install chromium`")
    options = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-gpu"]
    # A shell starts it and ends, so that it is nobody's child here.
    started = subprocess.run(
        ["/bin/sh", "-c", '"$@" >/dev/null 2>&1 & echo $!', "/bin/sh", program, *options, *quiet, "about:blank"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )
    process = os.pidfd_open(int(started.stdout))
    try:
        port = folder / "DevToolsActivePort"
        wait_until(lambda: port.exists() and port.read_text().strip(), "the browser listens", 30)
        with api.sync_playwright() as playwright:
            connected = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port.read_text().split()[0]}")
            yield connected
            connected.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGTERM)
            if not select.select([process], [], [], 10)[0]:
                signal.pidfd_send_signal(process, signal.SIGKILL)
        os.close(process)


class Tab:
    """A tab, and what it has complained of.

    Attributes:
        page: Playwright's page.
        complaints: errors, reports of the content security policy, and requests that leave loopback.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._requested)
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _said(self, message: Any) -> None:
        # That a server is gone, or refuses, is said by the browser itself, and shown on the page.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def _requested(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.hostname not in {"127.0.0.1", "localhost"}:
            self.complaints.append(f"request: {request.url}")


@contextlib.contextmanager
def tab(browser: Any, **options: Any) -> Iterator[Tab]:
    """Have a tab of a profile of its own; nothing may be complained of in it."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 800}, **options})
    try:
        opened = Tab(context.new_page())
        yield opened
        assert opened.complaints == []
    finally:
        context.close()


def violations(page: Any) -> list[str]:
    """Return what axe-core finds on a page; skips the test where it cannot be had."""
    try:
        _, modules = from_npm(f"axe-{_AXE}", [f"axe-core@{_AXE}"])
    except NotInstalledError as error:
        pytest.skip(str(error))
    page.evaluate((modules / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    return [f"{each['id']}: {node['html'][:200]}" for each in found["violations"] for node in each["nodes"]]
