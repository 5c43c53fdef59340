"""The picture of the dashboard: runs a small team, and has Chromium take a picture of its page.

    python tools/record_dashboard.py             # docs/pictures/dashboard.png

The tasks are real ones, and so is the dashboard. Needs the extra `browser-tests`, and Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright
from subactors.runtime import EntrypointTask, Runtime

__all__ = ["lead", "read", "release"]

ROOT: Final = Path(__file__).parents[1]

TEAM: Final = {
    "agents": {
        "coordinator": {"entrypoint": "record_dashboard:lead", "sub_agents": ["reader", "release"]},
        "reader": {"entrypoint": "record_dashboard:read"},
        "release": {"entrypoint": "record_dashboard:release"},
    }
}

FILES: Final = ("models", "runs", "supervisor", "toolsets", "verbs", "net", "broken", "crash")


def lead(task: EntrypointTask) -> str:
    """Start a reader for each folder, one after the other, and one that asks."""
    for name in FILES:
        task.runtime.run("reader", f"Read the folder {name}, and say what is in it.", data=name)
        task.wait_for_stop(0.4)
    task.runtime.run("release", "Publish the report when somebody agrees.")
    task.emit("waiting for six readers\n")
    task.wait_for_stop(600)
    return "stopped"


def read(task: EntrypointTask) -> str:
    """Say what a reader may say, for as long as its folder takes."""
    name = str(task.data)
    if name == "broken":
        raise FileNotFoundError("There is no folder broken.")
    most = {"models": 9, "net": 4}.get(name, 1000)
    for number in range(1, most):
        task.progress(number, 160, "files")
        task.emit(f"{name}/{number:03}.py: {37 * number % 400} lines\n")
        if name == "crash" and number == len(FILES):
            import ctypes  # noqa: PLC0415 - for this one

            ctypes.string_at(0)
        end = time.monotonic() + 0.05 * (number % 5)
        while time.monotonic() < end:
            pass
        if task.wait_for_stop(0.3):
            break
    return f"{name} has {most} files."


def release(task: EntrypointTask) -> str:
    """Ask a person."""
    return str(task.ask("Six readers have reported. Publish the report?", choices=["publish", "wait"]))


def main() -> None:
    """Take the picture."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("Chromium is not installed here.")
    with tempfile.TemporaryDirectory() as state, Runtime.from_mapping(TEAM, state_dir=state, standby=0) as runtime:
        runtime.run("coordinator", "Survey the source code, and write a report.")
        command = [sys.executable, "-m", "subactors.runtime.cli", "dashboard", "--quiet", "--state-dir", state]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
            assert server.stdout is not None  # noqa: S101 - it was asked for
            address = server.stdout.readline().strip()
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = chromium.new_page(viewport={"width": 1720, "height": 620}, color_scheme="light")
            page.goto(address)
            page.wait_for_timeout(14_000)
            page.get_by_role("row").filter(has_text="runs").last.click()
            page.wait_for_timeout(2_000)
            page.screenshot(path=ROOT / "docs" / "pictures" / "dashboard.png")
            chromium.close()
            server.terminate()


if __name__ == "__main__":
    main()
