"""Watching: what the dashboard costs its server, the browser and a host, and how soon a change is on the screen.

    python -m benchmarks.watching [--tasks 500] [--seconds 10] [--tabs 5]

Tasks are made up, so that the figures are those of the dashboard and not of hundreds of processes: a stand-in for a
host answers on a real control socket, and changes every task five times a second. Server, browser and the stand-in are
processes of their own. Needs the extra `browser-tests`, and Chromium; without them it says so.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from .figures import print_figures

TARGETS: Final = {
    "browser, cores": 0.25,
    "to the screen (p50), ms": 60.0,
    "server, cores": 0.1,
}
"""What each is to be at most, with 500 tasks that change five times a second."""

_EVERY: Final = 0.2
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")

_WATCH: Final = """
() => {
  window.seen = [];
  const look = (records) => {
    const found = new Set();
    for (const record of records) {
      const text = record.target.textContent ?? "";
      const at = /at (\\d{13})/.exec(text);
      if (at) found.add(Number(at[1]));
    }
    requestAnimationFrame(() => {
      const now = Date.now();
      for (const at of found) window.seen.push(now - at);
    });
  };
  const what = {childList: true, characterData: true, subtree: true};
  new MutationObserver(look).observe(document.getElementById("rows"), what);
}
"""
"""Notes in a page how old each text is when the frame is drawn that shows it."""


def stand_in(root: Path, count: int) -> None:
    """Be a host whose tasks change five times a second, until standard input ends. For a process of its own."""
    from subactors.actors.host.io import IOThread  # noqa: PLC0415 - of this process alone
    from subactors.runtime.control.server import ControlServer  # noqa: PLC0415 - the same
    from subactors.runtime.runs.folder import RunFolder  # noqa: PLC0415 - the same
    from subactors.runtime.runs.journal import Journal  # noqa: PLC0415 - the same

    folder = RunFolder.create(root)
    journal = Journal(folder.journal, {})
    host = _StandIn(count)
    io = IOThread("stand-in")
    server = ControlServer(io, folder.control, host.answer)
    threading.Thread(target=host.go, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    server.close()
    io.close()
    journal.close()
    folder.release()


class _StandIn:
    """Tasks that are made up, and who waits for what changes of them."""

    def __init__(self, count: int) -> None:
        from subactors.runtime.tasks.changes import ChangeLog  # noqa: PLC0415 - of this process alone
        from subactors.runtime.tasks.watching import TaskRow  # noqa: PLC0415 - the same

        self._lock = threading.Lock()
        self._log: ChangeLog[TaskRow] = ChangeLog()
        self._waiting: list[tuple[Any, Any, float]] = []
        self._ids = [f"agent_task_{number:08x}" for number in range(count)]
        self._row = TaskRow
        self._started = time.time()

    def answer(self, request: Any, reply_to: Any, _face: object) -> None:
        """Answer when there is something new."""
        with self._lock:
            self._waiting.append((request, reply_to, time.monotonic() + getattr(request, "timeout", 0.0)))
            self._tell()

    def go(self) -> None:
        """Change tasks, a part of them in each of ten steps of a fifth of a second."""
        steps = 4
        place = 0
        while True:
            began = time.monotonic()
            with self._lock:
                for number in range(place, len(self._ids), steps):
                    self._change(number)
                self._tell()
            place = (place + 1) % steps
            time.sleep(max(0.0, _EVERY / steps - (time.monotonic() - began)))

    def _change(self, number: int) -> None:
        from subactors.runtime.models.base import Usage  # noqa: PLC0415 - of this process alone
        from subactors.runtime.tasks.views import Vitals, iso_time  # noqa: PLC0415 - the same

        now = time.time()
        usage = Usage(int(now - self._started) * 100 + number, 10, 1, 0.01)
        self._log.put(
            self._row(
                id=self._ids[number],
                agent="researcher",
                task=f"work {number}",
                status="running",
                started_at=iso_time(self._started),
                words=f"at {int(now * 1000)} of {number}",
                output_size=int((now - self._started) * 10),
                usage=usage,
                total_usage=usage,
                vitals=Vitals(cpu_percent=now * 7 % 100, memory_bytes=5_000_000 + number),
                parent=self._ids[number // 10] if number else None,
                doing="waiting for its model",
                doing_began_at=iso_time(self._started),
            )
        )

    def _tell(self) -> None:
        from subactors.runtime.tasks.watching import TaskChanges  # noqa: PLC0415 - of this process alone

        waiting, self._waiting = self._waiting, []
        for request, reply_to, deadline in waiting:
            changed = self._log.since(request.cursor)
            if changed.is_empty and time.monotonic() < deadline:
                self._waiting.append((request, reply_to, deadline))
                continue
            cursor, reset, rows, gone = changed
            reply_to.set(TaskChanges(cursor=cursor, reset=reset, changed=rows, gone=gone, running=len(self._ids)))


@contextlib.contextmanager
def _program(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Have a program, and the first line that it has printed."""
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None  # noqa: S101 - it was asked for
        try:
            yield program, program.stdout.readline().strip()
        finally:
            program.terminate()
            program.wait(20)


def measure(tasks: int, seconds: float, tabs: int) -> dict[str, float]:
    """Return the figures of a dashboard with so many tasks and tabs."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra

    browser = next(filter(None, map(shutil.which, _PROGRAMS)))
    with (
        tempfile.TemporaryDirectory() as root,
        _program("-m", "benchmarks.watching", "--stand-in", root, "--tasks", str(tasks)) as (host, _),
        _program("-m", "subactors.runtime.cli", "dashboard", "--quiet", "--state-dir", root) as (server, address),
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1700, "height": 900})
        page.goto(address)
        page.locator(".row").nth(10).wait_for()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})  # not what others take meanwhile
        page.evaluate(_WATCH)
        figures = {}
        with _cores(seconds, server, host) as cores:
            before = _busy(session)
            page.wait_for_timeout(seconds * 1000)
            figures["browser, cores"] = (_busy(session) - before) / seconds
        seen = page.evaluate("window.seen")
        figures["to the screen (p50), ms"] = statistics.median(seen)
        figures["to the screen (p95), ms"] = sorted(seen)[int(len(seen) * 0.95)]
        figures["server with one tab, cores"] = cores[server.pid]
        context = chromium.new_context()
        for _ in range(tabs - 1):
            other = context.new_page()
            other.goto(address)
            other.locator(".row").nth(10).wait_for()
        with _cores(seconds, server, host) as cores:
            page.wait_for_timeout(seconds * 1000)
        figures["server, cores"] = cores[server.pid]
        figures["stand-in, cores"] = cores[host.pid]
        figures["server, MB"] = psutil.Process(server.pid).memory_info().rss / 1e6
        chromium.close()
    return figures


def _busy(session: Any) -> float:
    """Return for how many seconds a page's main thread has been at work."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


@contextlib.contextmanager
def _cores(seconds: float, *programs: subprocess.Popen[str]) -> Iterator[dict[int, float]]:
    """Note what share of a core each program uses inside of the block, by its id."""
    used: dict[int, float] = {}
    before = {program.pid: sum(psutil.Process(program.pid).cpu_times()[:2]) for program in programs}
    began = time.monotonic()
    yield used
    elapsed = max(seconds, time.monotonic() - began)
    used |= {pid: (sum(psutil.Process(pid).cpu_times()[:2]) - was) / elapsed for pid, was in before.items()}


def cost_of_a_look(tasks: int, seconds: float) -> dict[str, float]:
    """Return what a real host with tasks that say something five times a second costs, watched and not."""
    from subactors.runtime import Runtime  # noqa: PLC0415 - of this part alone
    from subactors.runtime.watching.watcher import Watcher  # noqa: PLC0415 - the same

    figures = {}
    with tempfile.TemporaryDirectory() as root, Runtime(state_dir=root, max_running=tasks, standby=0) as runtime:
        for _ in range(tasks):
            runtime.submit(_speak)
        time.sleep(3)
        for name in ("host that nobody looks at, cores", "host that is watched, cores"):
            with contextlib.ExitStack() as watched:
                if "watched" in name:
                    watcher = watched.enter_context(Watcher(Path(root)))
                    watched.enter_context(watcher.looking())
                    time.sleep(1)
                before = time.process_time()
                time.sleep(seconds)
                figures[name] = (time.process_time() - before) / seconds
    return figures


def _speak() -> None:
    while True:
        print("something", flush=True)
        time.sleep(_EVERY)


def main() -> int:
    """Measure, print a table, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--tabs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--stand-in", metavar="ROOT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stand_in:
        stand_in(Path(given.stand_in), given.tasks)
        return 0
    try:
        import playwright  # noqa: F401, PLC0415 - an extra
    except ImportError:
        print("Playwright is not installed here: pip install '.[browser-tests]'")
        return 0
    if not any(map(shutil.which, _PROGRAMS)):
        print("Chromium is not installed here.")
        return 0
    figures = measure(given.tasks, given.seconds, given.tabs) | cost_of_a_look(20, given.seconds)
    return print_figures(figures, TARGETS, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
