"""The documents: their links lead somewhere, and the paths of modules that they name are there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Final

import pytest
from subactors.runtime.teamfile.load import load_team

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
DOCUMENTS: Final = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("actors", "benchmarks")),
]


def anchors(page: Path) -> set[str]:
    """Return what a link to a heading of the page ends with, as GitHub forms it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_of_a_document_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text())
    targets = [((page.parent / path) if path else page, anchor) for path, anchor in links]

    assert [path for path, _ in targets if not path.exists()] == []
    assert [(path, anchor) for path, anchor in targets if anchor and anchor not in anchors(path)] == []


def test_each_page_of_the_manual_is_linked_from_the_first() -> None:
    first = (ROOT / "README.md").read_text()

    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in first] == []


def test_each_room_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]*)(?:\.\w+)?`", text)
    tops = (ROOT, ROOT / "runtime")
    missing = [
        name for name in named if not any((top / name).is_dir() or (top / f"{name}.py").is_file() for top in tops)
    ]

    assert missing == []


PARTS_OF_AGENTS: Final = {"toolsets", "limits", "restart"}

YAML_BLOCKS: Final = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in DOCUMENTS
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE), 1)
]


def whole_team(block: str) -> str:
    """Return a sample as a team file: a part of an agent becomes one's, and all else has an agent added."""
    keys = set(re.findall(r"^(\w+):", block, re.MULTILINE))
    if "agents" in keys:
        return block
    if keys <= PARTS_OF_AGENTS:
        agent = "agents:\n  a:\n    model: openai/gpt-4o\n    sub_agents: [b]\n" + textwrap.indent(block, "    ")
        return f"{agent}  b: {{model: openai/gpt-4o}}\n"
    return f"{block}agents: {{a: {{model: openai/gpt-4o}}}}\n"


@pytest.mark.parametrize("block", YAML_BLOCKS)
def test_each_sample_of_a_team_file_can_be_read(block: str, tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(whole_team(block))

    assert load_team(path).ignored == ()
