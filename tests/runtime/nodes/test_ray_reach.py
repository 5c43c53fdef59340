"""Whether a head answers as Ray does, and with TLS or without, as this machine has it. No Ray is needed."""

from __future__ import annotations

import socket

import pytest
from certificates import Authority, needs_openssl
from ray_heads import head
from subactors.runtime import RunError
from subactors.runtime.nodes import ray_reach
from subactors.runtime.nodes.ray_reach import reach
from subactors.runtime.nodes.tls_files import TlsFiles

pytestmark = [needs_openssl, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return Authority(tmp_path_factory.mktemp("certificates")).files("machine", "127.0.0.1")


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Files of another authority."""
    return Authority(tmp_path_factory.mktemp("others")).files("machine", "127.0.0.1")


@pytest.mark.parametrize("has_tls", [True, False])
def test_a_head_that_answers_as_this_machine_speaks_is_reached(files: TlsFiles, *, has_tls: bool) -> None:
    with head(files if has_tls else None) as address:
        reach(address, files if has_tls else None)


def test_a_head_that_has_tls_and_this_machine_not_is_told_in_words(files: TlsFiles) -> None:
    with head(files) as address, pytest.raises(RunError, match="answers with TLS, and Ray has none here: set RAY_USE_"):
        reach(address, None)


def test_a_head_without_tls_is_told_in_words_where_this_machine_has_it(files: TlsFiles) -> None:
    with head(None) as address, pytest.raises(RunError, match="answers without TLS, and RAY_USE_TLS is set here"):
        reach(address, files)


def test_a_head_of_another_authority_is_told_in_words(files: TlsFiles, strange: TlsFiles) -> None:
    with head(files) as address, pytest.raises(RunError, match="check that RAY_TLS_CA_CERT is that of the cluster"):
        reach(address, strange)


def test_a_head_that_refuses_this_machine_s_certificate_is_told_in_words(files: TlsFiles, strange: TlsFiles) -> None:
    mixed = TlsFiles(strange.certificate, strange.key, files.authority)
    with head(files) as address, pytest.raises(RunError, match="does not take this machine for one of its own"):
        reach(address, mixed)


def test_what_listens_and_says_nothing_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_reach, "_PATIENCE", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(RunError, match="has not answered as Ray does"),
    ):
        reach(f"127.0.0.1:{silent.getsockname()[1]}", None)


def test_where_nothing_listens_it_is_an_error_of_the_system() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(ConnectionRefusedError):
        reach(address, None)
