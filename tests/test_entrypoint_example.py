"""The example with an entrypoint that has sub-agents, tools and a model, run as its reader would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from commands import COMMAND
from model_server import Calls, ModelServer, Text

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())


def test_the_report_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "example"
    shutil.copytree(ROOT / "examples" / "entrypoints", folder)
    content = "# Ants\n# Bees\n"
    script = [Calls(("write_file", {"path": "report.md", "content": content})), Text("Ants and bees are in it.")]
    with ModelServer(script) as server:
        place = {"OPENAI_BASE_URL": server.base_url, "SUBACTORS_STATE_DIR": str(tmp_path / "state")}
        done = subprocess.run(
            [*COMMAND, "run", "team.yaml", "ants, bees"],
            cwd=folder,
            env={**os.environ, "OPENAI_API_KEY": "sk-of-the-test", **place},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("Ants and bees are in it.")
    assert (folder / "report.md").read_text() == content
    first, second = server.requests
    assert first.messages[0]["content"].startswith("Write report.md")
    assert first.messages[1]["content"] == ("There is much to say about ants.\nThere is much to say about bees.")
    assert len(second.tool_answers) == 1
