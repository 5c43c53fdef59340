"""Relays: nothing goes through a line with TLS but for those who are to be at its ends, and files have to be right."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from certificates import Authority, environment_of, needs_openssl
from relay_lines import PATIENCE, Line, everything, new_socket, opened, refusal
from subactors.runtime.nodes.relay_process import RelayProcess
from subactors.runtime.nodes.tls import fault_of
from subactors.runtime.nodes.tls_files import VARIABLES, TlsFiles, tls_files_of

pytestmark = [needs_openssl, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> TlsFiles:
    return authority.files("machine", "127.0.0.1")


@pytest.fixture
def line(files: TlsFiles) -> Iterator[Line]:
    with opened(files) as line:
        yield line


# --- who is let in ---------------------------------------------------------------------------------------------------


def test_both_ends_that_one_authority_has_signed_take_each_other(authority: Authority, files: TlsFiles) -> None:
    # No name is in the one, nor is that of this machine: it is known by its certificate.
    assert refusal(authority.files("nameless"), files) == ""


def test_the_host_refuses_a_node_of_another_authority(tmp_path: Path, files: TlsFiles) -> None:
    stranger = Authority(tmp_path).files("stranger")
    there = msgspec.structs.replace(stranger, authority=files.authority)  # which would take the host

    assert refusal(there, files) == "its certificate is refused: unable to get local issuer certificate"


def test_the_host_refuses_a_node_with_another_certificate_than_it_has_told(
    authority: Authority, files: TlsFiles
) -> None:
    other = authority.files("other", "127.0.0.1")

    why = refusal(other, files, certificate="00" * 32)

    assert why == "its certificate is not the one that the node has told by Ray"


def test_the_node_refuses_a_host_of_another_authority(tmp_path: Path, files: TlsFiles) -> None:
    stranger = Authority(tmp_path).files("stranger")
    here = msgspec.structs.replace(stranger, authority=files.authority)  # which takes the node

    assert "unknown ca" in refusal(files, here)


@pytest.mark.parametrize(
    "says", [b"", b"\0" * 5000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x40\x00" + b"\0" * 20_000]
)
def test_who_speaks_no_tls_reaches_nothing(line: Line, says: bytes) -> None:
    with socket.create_connection(line.node, timeout=PATIENCE) as stranger:
        with contextlib.suppress(OSError):
            stranger.sendall(says)
            stranger.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            everything(stranger)
    ours, theirs = line.connect()  # the next that comes through is this
    ours.sendall(b"after")
    assert theirs.recv(10) == b"after"
    ours.close()
    theirs.close()


def test_strangers_in_numbers_push_out_each_other_and_not_the_host(line: Line) -> None:
    with contextlib.ExitStack() as closing:
        for _ in range(100):
            closing.enter_context(socket.create_connection(line.node, timeout=PATIENCE))
        ours, theirs = line.connect()
        ours.sendall(b"here")

        assert theirs.recv(4) == b"here"
        ours.close()
        theirs.close()


def test_who_has_tls_without_a_certificate_reaches_nothing(line: Line) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(line.node, timeout=PATIENCE) as stranger,
        context.wrap_socket(stranger) as session,
        pytest.raises(ssl.SSLError, match="certificate required"),
    ):
        session.recv(10)


# --- files -----------------------------------------------------------------------------------------------------------


def test_without_the_variable_of_ray_there_is_no_tls(files: TlsFiles) -> None:
    environ = environment_of(files)

    assert tls_files_of(environ) == files
    assert tls_files_of({**environ, "RAY_USE_TLS": "true"}) == files
    assert tls_files_of({**environ, "RAY_USE_TLS": "0"}) is None
    assert tls_files_of({}) is None
    assert fault_of(files) == ""


@pytest.mark.parametrize(("field", "variable"), VARIABLES.items())
def test_a_file_that_is_missing_or_not_what_it_is_to_be_is_told_in_words(
    tmp_path: Path, files: TlsFiles, field: str, variable: str
) -> None:
    nothing = tmp_path / "nothing.pem"
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("not what it is to be\n")
    unset, missing, folder, bad = (
        fault_of(msgspec.structs.replace(files, **{field: str(path)})) for path in ("", nothing, tmp_path, wrong)
    )

    assert unset == f"RAY_USE_TLS is set, and {variable} is not"
    assert missing == f"{variable} names {nothing}, which cannot be read: No such file or directory"
    assert folder == f"{variable} names {tmp_path}, which cannot be read: Is a directory"
    assert variable in bad
    assert str(wrong) in bad


def test_a_key_of_another_certificate_is_told_in_words(authority: Authority, files: TlsFiles) -> None:
    other = authority.files("other key")

    assert "fits: key values mismatch" in fault_of(msgspec.structs.replace(files, key=other.key))


def test_a_key_with_a_password_is_told_and_not_asked_for(tmp_path: Path, files: TlsFiles) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", files.key, "-out", str(locked), "-passout", "pass:word"]
    subprocess.run(command, check=True, capture_output=True)

    assert str(locked) in fault_of(msgspec.structs.replace(files, key=str(locked)))


def test_the_agent_of_a_node_with_wrong_files_says_so_and_ends(files: TlsFiles) -> None:
    wrong = msgspec.to_builtins(msgspec.structs.replace(files, authority=""))
    beginning = {"token": "00" * 32, "listen": {"tcp": ["127.0.0.1", 0]}, "control": "listen", "tls": wrong}
    command = [sys.executable, "-m", "subactors.runtime.nodes.agent"]
    said = subprocess.run(
        command, input=json.dumps(beginning) + "\n", check=False, capture_output=True, text=True, timeout=PATIENCE
    )

    assert json.loads(said.stdout)["problem"] == "RAY_USE_TLS is set, and RAY_TLS_CA_CERT is not"
    assert said.returncode == 1


def test_a_relay_with_wrong_files_says_so_and_ends(files: TlsFiles) -> None:
    wrong = msgspec.structs.replace(files, key="")
    listener, path = new_socket()
    process = RelayProcess(wrong, listener, ("127.0.0.1", 1), path=path, certificate="")

    assert process.hear().problem == "RAY_USE_TLS is set, and RAY_TLS_SERVER_KEY is not"
    assert process.wait() == 1
    assert not path.parent.exists()
