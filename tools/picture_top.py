"""The picture of `subactors top`: a small team at work, and the screen as an SVG.

    python tools/picture_top.py                       # docs/pictures/top.svg

Tasks and screen are real; the agents are functions below, so that no model is asked. Needs the extra `top`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from subactors.runtime import EntrypointTask, Runtime
from subactors.runtime.top.app import Top

__all__ = ["draw"]

ROOT: Final = Path(__file__).parents[1]
SIZE: Final = (150, 26)

TEAM: Final[dict[str, Any]] = {
    "agents": {
        "coordinator": {"entrypoint": "picture_top:coordinator", "sub_agents": ["researcher", "writer", "checker"]},
        "researcher": {"entrypoint": "picture_top:researcher"},
        "writer": {"entrypoint": "picture_top:writer"},
        "checker": {"entrypoint": "picture_top:checker"},
    }
}


def coordinator(task: EntrypointTask) -> str:
    """Start the others, and wait."""
    for topic in ("the history of lighthouses", "how lenses are ground", "who keeps them today"):
        task.runtime.run("researcher", topic)
    task.runtime.run("checker", "Are all numbers the same in both drafts?")
    task.runtime.run("writer", "Write the introduction.")
    task.emit("Five tasks are at work.\n")
    task.wait_for_stop(600)
    return ""


def researcher(task: EntrypointTask) -> str:
    """Read, and say so."""
    for page in range(1, 600):
        task.progress(page, 40)
        task.emit(f"page {page}: notes on {task.text}\n")
        if page * 0.2 > len(task.text) / 6 or task.wait_for_stop(0.2):
            break
    return f"notes on {task.text}"


def checker(task: EntrypointTask) -> str:
    """Fail."""
    task.wait_for_stop(1.5)
    raise ValueError("draft-2.md says 1823 on line 12, draft-1.md says 1832")


def writer(task: EntrypointTask) -> str:
    """Ask something."""
    return task.ask("Shall the introduction name the sponsors?", choices=["yes", "no"], to="person")


async def draw(root: Path) -> str:
    """Return the screen of a state folder as SVG."""
    app = Top(root)
    async with app.run_test(size=SIZE) as pilot:
        while not (listing := app.listing).questions() or "failed" not in listing.total.counts:
            await pilot.pause(0.1)
        app.table.go_to(next(task.id for task in listing.tasks.values() if task.agent == "researcher"))
        await pilot.press("o")
        await pilot.pause(1.2)
        picture = app.export_screenshot(title="subactors top")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # fonts of a server elsewhere


def be_host(root: Path) -> None:
    """Have the team at work, until standard input ends."""
    with Runtime.from_mapping(TEAM, state_dir=root, stop_grace=0.5) as runtime:
        runtime.run("coordinator", "Write a page on lighthouses.")
        sys.stdin.read()


def main() -> int:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "top.svg")
    parser.add_argument("--host", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.host is not None:
        be_host(given.host)
        return 0
    with tempfile.TemporaryDirectory(prefix="lighthouses_") as root:
        command = [sys.executable, str(Path(__file__).resolve()), "--host", root]
        # A program of its own, as yours would be.
        with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=root) as host:
            picture = asyncio.run(draw(Path(root)))
            host.communicate()
    given.out.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
