"""Dashboards: their server as users start it, and what a program asks it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from processes_and_waits import wait_until
from run_folders import command

PATIENCE = 30.0


class Answer(NamedTuple):
    status: int
    body: Any
    headers: httpx2.Headers


class Served:
    """A dashboard's server, in a process of its own.

    Attributes:
        address: what it has printed.
        origin: where it is.
        token: what it wants.
        program: the process.
    """

    def __init__(self, address: str, program: subprocess.Popen[str]) -> None:
        self.address = address
        self.origin, _, self.token = address.partition("/#token=")
        self.program = program

    def ask(self, path: str, body: object = None, **headers: str | bytes | None) -> Answer:
        """Ask something, as its page does; a header that is None is left out."""
        sent = {"authorization": f"Bearer {self.token}", "origin": self.origin, **headers}
        given = {name: value for name, value in sent.items() if value is not None}
        with httpx2.Client(timeout=PATIENCE, trust_env=False) as client:
            url = f"{self.origin}{path}"
            answer = client.get(url, headers=given) if body is None else client.post(url, headers=given, json=body)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return Answer(answer.status_code, answer.json() if is_json else answer.text, answer.headers)

    @contextlib.contextmanager
    def events(self, path: str) -> Iterator[Iterator[tuple[str, Any, str]]]:
        """Have a stream's events inside of the block: name, data and id of each."""
        with (
            httpx2.Client(timeout=PATIENCE, trust_env=False) as client,
            client.stream("GET", f"{self.origin}{path}", headers={"authorization": f"Bearer {self.token}"}) as answer,
        ):
            yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any, str]]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            if "data" in fields:
                yield fields.get("event", ""), json.loads(fields["data"]), fields.get("id", "")
            fields = {}


def listed(served: Served, task_id: str) -> dict[str, object] | None:
    """Return a task of the list; None if it is not there."""
    tasks = served.ask("/api/tasks").body["tasks"]
    return next((task for task in tasks if task["id"] == task_id), None)


def becomes(served: Served, task_id: str, **fields: object) -> None:
    """Wait until a task has these values."""

    def is_so() -> bool:
        task = listed(served, task_id)
        return task is not None and all(task[name] == value for name, value in fields.items())

    wait_until(is_so, f"{task_id} has {fields}", PATIENCE)


@contextlib.contextmanager
def dashboard(
    root: Path,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stderr: int | None = None,
) -> Iterator[Served]:
    """Have a dashboard of a state folder, until the end of the block."""
    with subprocess.Popen(
        command("dashboard", "--state-dir", root, "--quiet", *arguments),
        env=env,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as program:
        assert program.stdout is not None
        try:
            yield Served(program.stdout.readline().strip(), program)
        finally:
            program.terminate()
            program.wait(PATIENCE)
