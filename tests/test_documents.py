"""The documents: their links lead somewhere, and the paths of modules that they name are there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Final

import pytest
from pages import ROOT, blocks
from subactors.runtime.teamfile.load import load_team

DOCUMENTS: Final = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("actors", "examples")),
]


def anchors(page: Path) -> set[str]:
    """Return what a link to a heading of the page ends with, as GitHub forms it."""
    headings = re.findall(r"^#+ (.*)$", without_fences(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_fences(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_of_a_document_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", without_fences(page))
    targets = [((page.parent / path) if path else page, anchor) for path, anchor in links]

    assert [path for path, _ in targets if not path.exists()] == []
    assert [(path, anchor) for path, anchor in targets if anchor and anchor not in anchors(path)] == []


def test_each_page_of_the_manual_is_in_the_index_and_in_the_navigation() -> None:
    index, navigation = (ROOT / "docs" / "index.md").read_text(), (ROOT / "mkdocs.yml").read_text()
    pages = [page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md"]

    assert [name for name in pages if f"]({name})" not in index] == []
    assert [name for name in pages if f"- {name}\n" not in navigation] == []


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_the_sections_that_others_run_begin_with_their_commands() -> None:
    first = {block.section: block for block in reversed(blocks(ROOT / "README.md"))}

    assert "subactors demo" in first["Quick start"].text
    assert "pytest" in first["Tests"].text


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
    pytest.param(block.text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in DOCUMENTS
    for number, block in enumerate((block for block in blocks(page) if block.kind == "yaml" and not block.mark), 1)
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
