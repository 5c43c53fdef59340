"""The pages that are made, and the site: they are up to date, and it builds without a warning."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pages import ROOT, blocks, guide
from sources import parsed
from subactors.runtime.tasks import events

PATIENCE: Final = 55.0

PATIENCE_WITH_A_BUILD: Final = 200.0
"""Seconds for the whole site, on a machine that is busy."""


def test_the_pages_that_are_made_from_tables_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "reference.py"), "--check"],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.stderr == ""


@pytest.mark.timeout(PATIENCE_WITH_A_BUILD + 20)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_WITH_A_BUILD,
    )

    assert done.returncode == 0, done.stderr
    api = (tmp_path / "site" / "python-api.html").read_text()
    assert "Runs the agents of one team" in api
    assert 'id="subactors.runtime.Runtime"' in api


def test_the_table_of_events_has_each_event_with_its_fields() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.*?) \|", guide("events").read_text(), re.MULTILINE)
    told = {name: (kind, re.findall(r"`(\w+)`", fields)) for name, kind, fields in rows}
    kinds: list[Any] = list(events.Event.__args__)

    assert told == {
        kind.__name__: (
            kind.__struct_config__.tag,
            [field for field in kind.__struct_fields__ if field not in {"time", "cursor"}],
        )
        for kind in kinds
    }


def _texts() -> str:
    """All that the sources hold as text, one after the other; what stands in a text's braces is left out."""
    found = []
    for _, nodes in parsed(ROOT / "runtime", ROOT / "actors"):
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_each_message_that_troubleshooting_explains_is_one_of_ours() -> None:
    rows = re.findall(r"^\| (``.+?``|`.+?`) \|", guide("troubleshooting").read_text(), re.MULTILINE)
    pieces = [piece.strip(" `") for row in rows for piece in row.split("…")]
    texts = _texts()

    assert len(rows) > 30
    assert [piece for piece in pieces if piece and not piece.startswith("subactors") and piece not in texts] == []


def test_each_snippet_for_an_mcp_host_is_well_formed_and_starts_a_team() -> None:
    servers = []
    for block in blocks(guide("mcp-hosts")):
        read = tomllib.loads(block.text) if block.kind == "toml" else json.loads(block.text)
        (table,) = (read[key] for key in ("mcpServers", "servers", "mcp_servers") if key in read)
        servers += table.values()

    assert len(servers) == 5
    assert {server["args"][0] for server in servers} == {"mcp"}
    assert {Path(server["command"]).name for server in servers} == {"subactors"}


# --- the container --------------------------------------------------------------------------------------------------


def test_the_container_is_built_from_all_that_the_package_is_made_of() -> None:
    instructions = (ROOT / "Dockerfile").read_text()
    copied = {
        word.removeprefix("./")
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", instructions, re.MULTILINE)
        for word in line.split()
    }
    let_in = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= set(project["tool"]["setuptools"]["package-dir"].values())

    assert copied == let_in == needed | {"tools/in_container.sh"}


def test_the_container_runs_without_root_and_keeps_its_state() -> None:
    instructions = (ROOT / "Dockerfile").read_text().partition("COPY --from=build")[2]
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["subactors"]

    assert re.search(r"^USER (?!root)\w+$", instructions, re.MULTILINE)
    assert 'ENTRYPOINT ["in_container"]' in instructions
    assert service["environment"]["SUBACTORS_STATE_DIR"].startswith("/state/")
    assert "state:/state" in service["volumes"]
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service


def test_a_container_for_an_mcp_host_keeps_its_runs_where_the_others_find_them_and_has_a_user() -> None:
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    (block,) = [block for block in blocks(guide("containers")) if block.kind == "json"]
    (server,) = json.loads(block.text)["mcpServers"].values()
    options = dict(zip(server["args"], server["args"][1:], strict=False))

    assert f"{composed['volumes']['state']['name']}:/state" in server["args"]
    assert options["--user"] == "1000:1000"
    assert "SUBACTORS_STATE_DIR=/state/1000" in (ROOT / "Dockerfile").read_text()


def in_container(folder: Path, group: str) -> subprocess.CompletedProcess[str]:
    """Run what a container runs, with a program in place of `subactors` that says where it is."""
    program = folder / "subactors"
    program.write_text("#!/bin/sh\necho ${SUBACTORS_CGROUP-none}; cat /proc/self/cgroup\n")
    program.chmod(0o755)
    # The first process of a container is in the group itself, and so is this one.
    begin = (
        f"if [ -w {group}/cgroup.procs ]; then echo $$ > {group}/cgroup.procs; fi; exec {ROOT}/tools/in_container.sh"
    )
    return subprocess.run(
        ["/bin/sh", "-c", begin],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "SUBACTORS_CGROUP": group},
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_a_container_leaves_its_control_group_to_the_tasks(tmp_path: Path) -> None:
    mounted = re.search(r"^\S+ (\S+) cgroup2 rw", Path("/proc/mounts").read_text(), re.MULTILINE)
    own = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    if mounted is None or own is None:
        pytest.skip("there are no control groups of version 2 here")
    group = Path(mounted[1]) / own[1] / f"container-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no control group can be made here")
    try:
        done = in_container(tmp_path, str(group))

        assert done.stdout.startswith(f"{group}\n")
        assert f"/{group.name}/host\n" in done.stdout
        assert (group / "cgroup.procs").read_text() == ""
    finally:
        (group / "host").rmdir()
        group.rmdir()


def test_a_container_that_may_not_write_to_its_control_group_says_so_and_goes_on(tmp_path: Path) -> None:
    done = in_container(tmp_path, "/proc/nowhere")

    assert done.stdout.startswith("none\n")
    assert "limits are held without it" in done.stderr


# --- the recording --------------------------------------------------------------------------------------------------


def test_a_recording_shows_what_a_command_wrote_on_a_terminal(tmp_path: Path) -> None:
    pytest.importorskip("pyte")
    picture = tmp_path / "picture.svg"
    program = "print('\\033[31mred\\033[0m  and < plain'); import sys; print(sys.stdout.isatty())"
    subprocess.run(
        [sys.executable, str(ROOT / "tools" / "record_demo.py"), "--out", str(picture), sys.executable, "-c", program],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )

    drawn = picture.read_text()
    assert re.search(r'fill="#f87171"[^>]*>red<', drawn)
    assert "and &lt; plain<" in drawn
    assert ">True<" in drawn
