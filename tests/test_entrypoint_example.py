"""The example with an entrypoint that has sub-agents, tools and a model, run as its reader would run it."""

from __future__ import annotations

from pathlib import Path

from first_lines import as_written, clone
from model_server import Calls, ModelServer, Text


def test_the_report_is_written(tmp_path: Path) -> None:
    copy = clone(tmp_path)
    content = "# Ants\n# Bees\n"
    script = [Calls(("write_file", {"path": "report.md", "content": content})), Text("Ants and bees are in it.")]
    with ModelServer(script) as server:
        said = as_written("entrypoints", copy, OPENAI_BASE_URL=server.base_url)

    assert said.strip().endswith("Ants and bees are in it.")
    assert (copy / "report.md").read_text() == content
    first, second = server.requests
    assert first.messages[0]["content"].startswith("Write report.md")
    assert first.messages[1]["content"] == ("There is much to say about ants.\nThere is much to say about bees.")
    assert len(second.tool_answers) == 1
