"""Relays: what goes through a line with TLS comes whole, and only from those who are to be at its ends."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from certificates import Authority, environment_of, needs_openssl
from subactors.actors import Address
from subactors.runtime.nodes.relay_process import RelayProcess, unix_listener
from subactors.runtime.nodes.tls import fault_of
from subactors.runtime.nodes.tls_files import VARIABLES, TlsFiles, tls_files_of

pytestmark = [needs_openssl, pytest.mark.timeout(120)]

PATIENCE = 30.0

LARGE = os.urandom(1 << 20) * 24


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> TlsFiles:
    return authority.files("machine", "127.0.0.1")


class Line:
    """A line between this test and itself, which plays the host and what is behind the node's relay.

    Attributes:
        node: address of the node's relay.
        inner: what takes what comes through.
    """

    def __init__(self, inner: socket.socket, node: tuple[str, int], host: RelayProcess, path: str) -> None:
        self.inner, self.node, self.host, self.path = inner, node, host, path

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a connection: the host's, and the node's."""
        ours = socket.socket(socket.AF_UNIX)
        ours.settimeout(PATIENCE)
        ours.connect(self.path)
        theirs, _ = self.inner.accept()
        theirs.settimeout(PATIENCE)
        return ours, theirs


def new_socket() -> tuple[socket.socket, Path]:
    path = Path(tempfile.mkdtemp(prefix="subactors-")) / "line"
    return unix_listener(str(path)), path


@contextlib.contextmanager
def relay(
    files: TlsFiles, listener: socket.socket, to: Address, path: Path, certificate: str | None = None
) -> Iterator[RelayProcess]:
    process = RelayProcess(files, listener, to, path=path, certificate=certificate)
    try:
        yield process
    finally:
        process.close()
        process.wait()


@contextlib.contextmanager
def node_relay(files: TlsFiles) -> Iterator[tuple[socket.socket, tuple[str, int], str]]:
    """The node's end: what is behind it, where it takes connections, and which certificate it has."""
    outer = socket.create_server(("127.0.0.1", 0))
    address = outer.getsockname()
    inner, path = new_socket()
    with inner, relay(files, outer, str(path), path) as process:
        inner.settimeout(PATIENCE)
        said = process.hear()
        assert not said.problem
        yield inner, address, said.certificate


@contextlib.contextmanager
def opened(files: TlsFiles) -> Iterator[Line]:
    listener, path = new_socket()
    with (
        node_relay(files) as (inner, address, certificate),
        relay(files, listener, address, path, certificate) as host,
    ):
        refuse_one(inner)  # by which the host's relay sees that there is somebody
        assert not host.hear().problem
        yield Line(inner, address, host, str(path))


@pytest.fixture
def line(files: TlsFiles) -> Iterator[Line]:
    with opened(files) as line:
        yield line


def everything(end: socket.socket) -> bytes:
    data = bytearray()
    with end:
        while piece := end.recv(1 << 16):
            data += piece
    return bytes(data)


def in_thread(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    return thread


def refuse_one(inner: socket.socket) -> None:
    with contextlib.suppress(OSError):
        inner.accept()[0].close()


def refusal(node_files: TlsFiles, host_files: TlsFiles, certificate: str = "") -> str:
    """Return why the host's relay does not begin; empty if it does."""
    listener, path = new_socket()
    with (
        node_relay(node_files) as (inner, address, shown),
        relay(host_files, listener, address, path, certificate or shown) as host,
    ):
        answers = in_thread(lambda: refuse_one(inner))
        problem = host.hear().problem
        with socket.socket(socket.AF_UNIX) as nobody:  # by whom the thread ends where the relay has not come
            nobody.connect(inner.getsockname())
        answers.join()
    return problem.partition(" failed: ")[2] or problem


# --- what goes through -----------------------------------------------------------------------------------------------


def test_both_ends_say_much_at_once_and_all_of_it_comes_in_its_order(line: Line) -> None:
    ours, theirs = line.connect()

    def say(end: socket.socket, what: bytes) -> None:
        end.sendall(what)
        end.shutdown(socket.SHUT_WR)

    there = in_thread(lambda: say(theirs, LARGE[::-1]))
    here = in_thread(lambda: say(ours, LARGE))
    heard: list[bytes] = []
    reads = in_thread(lambda: heard.append(everything(theirs.dup())))
    answer = everything(ours.dup())
    for thread in (there, here, reads):
        thread.join()
    ours.close()
    theirs.close()

    assert answer == LARGE[::-1]
    assert heard == [LARGE]


def test_an_end_that_says_nothing_more_is_told_so_and_still_gets_an_answer(line: Line) -> None:
    ours, theirs = line.connect()
    ours.sendall(b"a question")
    ours.shutdown(socket.SHUT_WR)
    question = everything(theirs.dup())
    answers = in_thread(lambda: (theirs.sendall(LARGE), theirs.close()))
    answer = everything(ours)
    answers.join()

    assert question == b"a question"
    assert answer == LARGE


def test_last_words_come_whole_from_one_who_has_closed_while_the_other_speaks_on(line: Line) -> None:
    ours, theirs = line.connect()
    ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):  # more than is read there
        while True:
            ours.send(b"unread" * 1000)
    ours.settimeout(PATIENCE)
    closes = in_thread(lambda: (theirs.sendall(LARGE), theirs.close()))
    last_words = everything(ours)
    closes.join()

    assert last_words == LARGE


def test_one_who_does_not_read_holds_up_the_other_and_loses_nothing(line: Line) -> None:
    ours, theirs = line.connect()
    theirs.setblocking(False)
    taken = 0
    said = 0
    is_full = threading.Event()

    def say() -> None:
        nonlocal taken, said
        theirs.settimeout(1.0)
        view = memoryview(LARGE * 4)
        with contextlib.suppress(TimeoutError):
            while taken < len(view):
                taken += theirs.send(view[taken:])
        said = taken
        is_full.set()
        theirs.settimeout(PATIENCE)
        theirs.sendall(view[taken:])
        theirs.close()

    says = in_thread(say)
    assert is_full.wait(PATIENCE)
    heard = everything(ours)
    says.join()

    assert 0 < said < len(LARGE) * 2, "what nobody reads is held somewhere"
    assert heard == LARGE * 4


def test_many_go_through_beside_one_who_does_not_read(line: Line) -> None:
    floods = line.connect()
    floods[1].setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            floods[1].send(LARGE)
    answers = []
    for number in range(50):
        ours, theirs = line.connect()
        ours.sendall(b"%d" % number)
        answers.append(theirs.recv(10))
        ours.close()
        theirs.close()
    for end in floods:
        end.close()

    assert answers == [b"%d" % number for number in range(50)]


def test_more_go_through_than_a_process_has_descriptors_at_first(files: TlsFiles) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        opening = opened(files)
        line = opening.__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as closing:
        closing.push(opening.__exit__)
        pairs = [line.connect() for _ in range(60)]
        for ours, theirs in pairs:
            closing.enter_context(ours)
            closing.enter_context(theirs)
            ours.sendall(b"here")

        assert [theirs.recv(4) for _, theirs in pairs] == [b"here"] * 60


# --- ends ------------------------------------------------------------------------------------------------------------


def test_a_relay_that_is_killed_ends_its_connections_at_both_ends(line: Line) -> None:
    ours, theirs = line.connect()
    ours.sendall(b"here")
    assert theirs.recv(10) == b"here"
    os.kill(line.host.pid, signal.SIGKILL)

    assert everything(ours) == everything(theirs) == b""


def test_a_relay_delivers_what_it_has_before_it_ends_and_leaves_no_file(files: TlsFiles) -> None:
    with opened(files) as line:
        socket_file = Path(line.path)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (socket_file, socket_file.parent)]
        ours, theirs = line.connect()
        ours.sendall(b"word" * 25_000)
        ours.close()
        line.host.close()

        assert everything(theirs) == b"word" * 25_000
    assert modes == [0o600, 0o700]
    assert not socket_file.parent.exists()


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
