"""Nodes of a Ray cluster that has TLS: what host and nodes say to each other goes through relays, or not at all."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from certificates import Authority, environment_of, needs_openssl
from processes_and_waits import children_of, descendants_of, is_gone, look_at, wait_until
from ray_clusters import PATIENCE, RayCluster, ended, needs_ray, opened, ray_cluster, said
from ray_heads import head
from subactors.runtime import RequirementError, Runtime
from subactors.runtime.nodes import ray
from subactors.runtime.nodes.tls_files import tls_files_of
from subactors.runtime.tasks.nodes import NodeView
from subactors.runtime.team.places import RayPlace

pytestmark = [needs_openssl, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Ray is told of TLS: a certificate with all addresses of this machine, as Ray compares them."""
    every = {one.address for found in psutil.net_if_addrs().values() for one in found if one.family == socket.AF_INET}
    return environment_of(Authority(tmp_path_factory.mktemp("certificates")).files("machine", *sorted(every)))


@pytest.fixture(scope="module")
def cluster(variables: dict[str, str]) -> Iterator[RayCluster]:
    with ray_cluster(**variables) as cluster:
        yield cluster


@pytest.fixture
def runtime(
    cluster: RayCluster, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runtime]:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with opened(cluster.place, state_dir=tmp_path) as runtime:
        wait_until(lambda: serving(runtime), "a node serves", limit=PATIENCE)
        yield runtime


def serving(runtime: Runtime) -> dict[str, NodeView]:
    return {node.name: node for node in runtime.nodes() if node.state == "serving"}


def relays_of(pid: int) -> list[int]:
    """The relays that a process has started."""
    children = [look_at(child) for child in children_of(pid)]
    return [child.pid for child in children if child is not None and child.name == "subactors-relay"]


def relays_of_nodes() -> list[int]:
    agents = [each.pid for each in descendants_of(os.getpid()) if each.name == "subactors-node"]
    return [relay for agent in agents for relay in relays_of(agent)]


# --- on a cluster ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tasks_and_their_output_go_through_and_views_say_that_the_line_has_tls(runtime: Runtime) -> None:
    loud = runtime.submit(lambda: print("x" * 3_000_000) or "said")
    result = loud.result(PATIENCE)
    nodes = serving(runtime)

    assert result == "said"
    assert runtime.view(loud).output_size > 3_000_000
    assert {node.line for node in nodes.values()} == {"TLS"}
    # The host itself is connected to no node.
    ports = {int(node.address.rpartition(":")[2]) for node in nodes.values()}
    reached = {each.raddr.port for each in psutil.Process().net_connections("tcp") if each.raddr}
    assert not ports & reached
    assert len(relays_of(os.getpid())) == len(nodes)


def kill_of_host() -> None:
    for relay in relays_of(os.getpid()):
        os.kill(relay, signal.SIGKILL)


def kill_of_node() -> None:
    for relay in relays_of_nodes():
        os.kill(relay, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [kill_of_host, kill_of_node])
def test_a_relay_that_is_killed_is_a_lost_node_and_another_comes(runtime: Runtime, kill: Callable[[], None]) -> None:
    task = runtime.run("daemon", "go")
    pids = [int(pid) for pid in said(runtime, task).split()]
    kill()
    view = ended(runtime, task)

    assert view.status == "failed"
    assert view.reason.startswith(f"Node {view.node} was lost (")
    wait_until(lambda: all(map(is_gone, pids)), "nothing of it is left", limit=PATIENCE)
    if kill is kill_of_host:
        assert "(the relay of its TLS on this machine was killed by SIGKILL)" in view.reason
    # One that comes to the other node, of which it is not known yet that it is lost, fails as well.
    wait_until(
        lambda: ended(runtime, runtime.run("report", "hello")).status == "completed", "there is another", limit=PATIENCE
    )


@pytest.mark.slow
def test_nothing_of_it_is_left_when_the_runtime_is_closed(runtime: Runtime, tmp_path: Path) -> None:
    relays = relays_of(os.getpid()) + relays_of_nodes()
    assert ended(runtime, runtime.run("report", "hello")).status == "completed"
    lines = [path for path in tmp_path.rglob("lines/*/*/line") if path.is_socket()]
    runtime.close()

    assert lines
    assert len(relays) >= 2
    wait_until(lambda: all(map(is_gone, relays)), "the relays have ended", limit=PATIENCE)
    assert not [*tmp_path.rglob("lines")]


# --- before there is one ---------------------------------------------------------------------------------------------


def test_files_that_are_wrong_are_told_in_words_before_there_is_a_task(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_ray()
    for variable, value in {**variables, "RAY_TLS_SERVER_KEY": str(tmp_path / "gone.key")}.items():
        monkeypatch.setenv(variable, value)

    with pytest.raises(RequirementError) as refused:
        opened(RayPlace(name="lab", address="127.0.0.1:1"))

    assert str(refused.value) == (
        "Place lab cannot be reached with TLS, which Ray is told to use: "
        f"RAY_TLS_SERVER_KEY names {tmp_path}/gone.key, which cannot be read: No such file or directory."
    )


@pytest.mark.parametrize("has_tls", [True, False])
def test_a_line_that_only_one_end_would_encrypt_is_refused_in_words(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_tls: bool
) -> None:
    needs_ray()
    found = {"type": "found", "name": "box1", "address": ["127.0.0.1", 1], "token": "00" * 32}
    told = [json.dumps(found | ({} if has_tls else {"certificate": "00" * 32}))]
    (tmp_path / "one_node.py").write_text(f"import sys\nprint(*{told!r}, flush=True)\nsys.stdin.read()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(ray, "_DRIVER", "one_node")
    for variable, value in variables.items() if has_tls else ():
        monkeypatch.setenv(variable, value)

    with opened(RayPlace(name="lab", address="127.0.0.1:1")) as runtime:
        view = ended(runtime, runtime.run("report", "hello"))

    why = "would be plain: RAY_USE_TLS is set here" if has_tls else "is encrypted by TLS: RAY_USE_TLS is set there"
    assert view.status == "failed"
    assert f"box1: its line {why}" in view.reason


def test_a_task_fails_in_words_where_the_cluster_has_tls_and_the_host_has_none(variables: dict[str, str]) -> None:
    needs_ray()
    files = tls_files_of(variables)
    with head(files) as address, opened(RayPlace(name="lab", address=address)) as runtime:
        view = ended(runtime, runtime.run("report", "hello"))

    assert view.status == "failed"
    assert (
        f"The Ray cluster at {address} cannot be connected to: it answers with TLS, and Ray has none here: "
        "set RAY_USE_TLS and Ray's files as there"
    ) in view.reason
