"""`subactors doctor`: its lines and its exit status."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from certificates import Authority, environment_of, needs_openssl
from command_line import subactors, write_team
from page_server import Page, Pages
from ray_heads import head
from subactors.runtime import RayPlace
from subactors.runtime.cli.doctor import examine
from subactors.runtime.cli.means import LEGEND, model_findings, program_findings
from subactors.runtime.cli.place_means import place_findings
from subactors.runtime.team.key_variables import known_keys
from unreachable_places import needs_ssh, unknown_place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_team(tmp_path)


def test_doctor_says_what_is_used_and_runs_a_task(folder: Path) -> None:
    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))

    assert done.returncode == 0, done.stdout
    *lines, empty, ok, none, wrong = done.stdout.splitlines()
    assert all(line.startswith(("ok  ", "--  ")) for line in lines)
    assert (empty, ok, none, wrong) == ("", *LEGEND)
    assert any(line.startswith("ok  exits: the host is told at once") for line in lines)
    assert lines[-1].startswith("ok  a task: started, answered and gone in ")
    assert list((folder / "state").iterdir()) == []  # nothing for `ps` to list
    assert (folder / "state").stat().st_mode & 0o777 == 0o700


def test_doctor_has_a_line_for_each_guard_against_hostile_tasks(folder: Path) -> None:
    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))
    said = dict(line[4:].split(": ", 1) for line in done.stdout.splitlines()[:-4])
    assert said["git"].startswith("git version ")
    assert "a pipe and a link were refused just now" in said["files of the state folder"]
    assert {"fence", "zygote", "turns", "keys", "fetch", "team files"} <= said.keys()
    for jargon in ("Landlock", "seccomp", "pidfd", "subreaper", "RLIMIT", "USS", "selector", "WAL"):
        outside = {what: how for what, how in said.items() if jargon in re.sub(r"\([^()]*\)", "", how)}
        assert outside == {}, f"{jargon} is explained by nothing beside it"


def test_doctor_says_that_others_can_write_to_the_state_folder(folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "state").chmod(0o770)
    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))
    assert done.returncode == 1
    assert any(line.startswith("!!  state folder: ") and "by others, too" in line for line in done.stdout.splitlines())


@pytest.mark.parametrize("state", ["/proc/nope", "file/state"])
def test_a_state_folder_that_cannot_be_made_is_wrong_whoever_the_user_is(
    folder: Path, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.chdir(folder)

    (found,) = [finding for finding in examine(state) if finding.what == "state folder"]

    assert found.state == "!!"
    assert "cannot be made or written to" in found.how
    assert "SUBACTORS_STATE_DIR" in found.how


def test_doctor_says_what_cannot_be_had_without_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))
    assert "--  git: not used, so agents cannot have `workdir: worktree`" in done.stdout


def test_doctor_names_the_keys_that_are_withheld_and_shows_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "sk-of-mistral-4711")

    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))

    assert "MISTRAL_API_KEY" in next(line for line in done.stdout.splitlines() if line.startswith("ok  keys: "))
    assert "4711" not in done.stdout + done.stderr


def test_doctor_ends_with_1_when_something_is_wrong(folder: Path) -> None:
    (folder / "file").write_text("")

    done = subactors(folder, "doctor", "--state-dir", str(folder / "file" / "state"))

    assert done.returncode == 1
    assert "!!  a task: could not be run: The state folder" in done.stdout
    assert "Traceback" not in done.stderr


# --- keys, servers and programs ---------------------------------------------------------------------------------------


@pytest.fixture
def without_keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in known_keys():
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_providers_with_a_key_are_named_and_so_is_a_key_that_is_none(without_keys: pytest.MonkeyPatch) -> None:
    without_keys.setenv("MISTRAL_API_KEY", "sk-of-mistral-4711")
    without_keys.setenv("GROQ_API_KEY", "two words")
    keys, fault, servers = model_findings(ping=False)
    assert keys.state == "ok"
    assert keys.how == "MISTRAL_API_KEY (mistral); the model `auto` is mistral/mistral-small-latest here"
    assert fault.state == "!!"
    assert "GROQ_API_KEY holds characters that no key has" in fault.how
    assert servers.state == "--"
    assert "--ping" in servers.how


def test_servers_are_asked_and_only_one_that_somebody_wants_must_answer(without_keys: pytest.MonkeyPatch) -> None:
    with Pages({"/v1/models": Page(b"{}"), "/engines/v1/models": Page(status=500)}) as server:
        without_keys.setenv("OPENAI_API_KEY", "sk-4711")
        without_keys.setenv("OPENAI_BASE_URL", f"{server.address}/v1")
        without_keys.setenv("MODEL_RUNNER_HOST", server.address)
        found = {finding.what: finding for finding in model_findings(ping=True)}
    assert found["model server openai"].state == "ok"
    assert "Bearer sk-4711" in [headers.get("Authorization") for headers in server.headers]
    assert found["model server dmr"].state == "!!"
    assert found["model server dmr"].how.endswith("/engines/v1 answers with status 500.")
    assert found["model server vllm"].state in {"ok", "--"}
    assert "4711" not in str(found)


def test_a_key_that_its_server_refuses_is_named(without_keys: pytest.MonkeyPatch) -> None:
    with Pages({"/v1/models": Page(status=401)}) as server:
        without_keys.setenv("OPENAI_API_KEY", "sk-4711")
        without_keys.setenv("OPENAI_BASE_URL", f"{server.address}/v1")
        (finding,) = [finding for finding in model_findings(ping=True) if finding.what == "model server openai"]
    assert finding.state == "!!"
    assert finding.how.endswith("/v1 answers with status 401. It refuses the key in OPENAI_API_KEY.")


def test_a_program_that_is_not_there_or_fails_is_needed_only_for_what_its_line_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("node", "echo v99"), ("docker", "echo no daemon >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    docker, node, uvx = program_findings()
    assert (docker.state, node.state, uvx.state) == ("--", "ok", "--")
    assert docker.how.startswith("`docker version` failed: no daemon; needed for MCP servers of Docker's catalog")
    assert node.how.startswith("v99: for MCP servers from npm")
    assert uvx.how.startswith("not on PATH; needed for MCP servers from PyPI")


# --- places of a team -----------------------------------------------------------------------------------------------


@needs_ssh
def test_doctor_looks_at_the_places_of_a_team_and_asks_no_host_unless_it_is_to(folder: Path) -> None:
    text = (folder / "team.yaml").read_text()
    (folder / "team.yaml").write_text(f"{text}runtime: {{places: {{pair: {{type: ssh, hosts: [box1, box2]}}}}}}\n")
    done = subactors(folder, "doctor", "team.yaml", "--state-dir", str(folder / "state"))

    assert done.returncode == 0, done.stdout
    said = [line for line in done.stdout.splitlines() if line[4:].startswith("place ")]
    assert said[0].startswith("ok  place pair: is reached by ")
    assert said[1].startswith("ok  place pair, line: ssh: what host and nodes say to each other is encrypted; ")
    assert said[2].startswith("--  place pair, hosts: box1, box2: not asked; `subactors doctor TEAM --ping` does so")


@needs_ssh
def test_a_host_that_cannot_be_reached_is_told_with_what_ssh_says() -> None:
    _, _, found = place_findings((unknown_place(),), ping=True)

    assert (found.what, found.state) == ("place gone, no-such-host.invalid", "!!")
    assert found.how.startswith("cannot be reached: ssh: Could not resolve hostname no-such-host.invalid")


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is here.")
def test_a_cluster_without_ray_here_is_told_with_what_to_install(tmp_path: Path) -> None:
    (found,) = place_findings((RayPlace(name="cluster"),), ping=False)
    (tmp_path / "team.yaml").write_text(
        "agents: {root: {entrypoint: 'os:getcwd', place: cluster}}\nruntime: {places: {cluster: {type: ray}}}\n"
    )
    checked = subactors(tmp_path, "check", "team.yaml")

    assert found.state == "!!"
    assert found.how.endswith("pip install 'subactors[ray]'")
    assert checked.returncode == 1
    assert "would not run here: Place cluster is a Ray cluster, and Ray is not installed here" in checked.stdout


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="There is no Ray here.")
def test_doctor_says_that_the_line_of_a_cluster_is_plain() -> None:
    _, line, _ = place_findings((RayPlace(name="cluster"),), ping=False)

    assert (line.what, line.state) == ("place cluster, line", "--")
    assert line.how.startswith("plain: whoever can read the network")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="There is no Ray here.")
@needs_openssl
def test_doctor_says_that_the_line_of_a_cluster_has_tls_or_why_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment_of(Authority(tmp_path).files("machine")).items():
        monkeypatch.setenv(variable, value)
    _, line, _ = place_findings((RayPlace(name="cluster"),), ping=False)
    monkeypatch.setenv("RAY_TLS_CA_CERT", str(tmp_path / "gone"))
    _, wrong, _ = place_findings((RayPlace(name="cluster"),), ping=False)

    assert (line.what, line.state) == ("place cluster, line", "ok")
    assert line.how.startswith("TLS: what host and nodes say to each other is encrypted; ")
    assert wrong.state == "!!"
    assert wrong.how.startswith(f"TLS, which cannot be: RAY_TLS_CA_CERT names {tmp_path}/gone, which cannot be read")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="There is no Ray here.")
def test_doctor_asks_the_head_of_a_cluster_whether_it_answers_where_it_is_to() -> None:
    with head(None) as address:
        cluster = RayPlace(name="cluster", address=address)
        *_, unasked = place_findings((cluster,), ping=False)
        *_, answers = place_findings((cluster,), ping=True)
    *_, dead = place_findings((cluster,), ping=True)

    assert (unasked.what, unasked.state) == ("place cluster, head", "--")
    assert (answers.state, f"{address} answers after " in answers.how) == ("ok", True)
    assert (dead.state, dead.how) == ("!!", f"the cluster at {address} cannot be connected to: Connection refused")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="There is no Ray here.")
def test_doctor_asks_the_head_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with head(None) as address:
        pass
    monkeypatch.setenv("RAY_ADDRESS", address)
    *_, dead = place_findings((RayPlace(name="cluster"),), ping=True)

    assert (dead.state, dead.how) == ("!!", f"the cluster at {address} cannot be connected to: Connection refused")
