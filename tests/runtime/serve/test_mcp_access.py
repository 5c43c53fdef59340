"""`subactors mcp --http`: who is let in: names, origins and tokens, and what the options want for other addresses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from mcp_face import EXTENSION, Server, command, environ, http_server
from subactors.runtime import SubactorsError
from subactors.runtime.cli.mcp_address import address_of

TOKENS = ("first-token-of-the-test", "second-token-of-the-test")
FIRST, SECOND = ({"Authorization": f"Bearer {token}"} for token in TOKENS)
ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two tokens and a name of its own."""
    folder = tmp_path_factory.mktemp("guarded")
    tokens = folder / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text("# of the test\n\n" + "\n".join(TOKENS) + "\n")
    with http_server(folder, "--token-file", str(tokens), "--allowed-host", "agents.example.org") as server:
        yield server


@pytest.mark.parametrize(
    "host", ["evil.example.org", "127.0.0.1.evil.org", "", "localhost:1", "agents.example.org.evil.org"]
)
def test_a_request_for_another_name_is_refused(server: Server, host: str) -> None:
    assert server.post(LIST, Host=host, **FIRST)[0] == 421


@pytest.mark.parametrize("origin", ["https://evil.example.org", "http://localhost:1", "null"])
def test_a_page_of_another_origin_is_refused(server: Server, origin: str) -> None:
    assert server.post(LIST, Origin=origin, **FIRST)[0] == 403


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKENS[0]}"}])
def test_a_request_without_a_token_is_told_that_it_needs_one(server: Server, given: dict[str, str]) -> None:
    status, headers, _ = server.post(LIST, **given)
    assert status == 401
    assert headers["www-authenticate"].startswith("Bearer ")


def test_whoever_has_a_token_is_let_in_by_each_name_of_the_server(server: Server) -> None:
    for names in (
        {},
        {"Host": f"localhost:{server.port}", "Origin": f"http://localhost:{server.port}"},
        {"Host": "agents.example.org", "Origin": "https://agents.example.org"},
        {"Host": "agents.example.org:8443"},
    ):
        assert server.open_session(**FIRST, **names)
    assert server.post(LIST, path="/", **FIRST)[0] == 404


def test_a_session_is_of_the_token_that_has_opened_it(server: Server) -> None:
    session = server.open_session(**FIRST)
    assert server.post(LIST, mcp_session_id=session, **FIRST)[0] == 200
    assert server.post(LIST, mcp_session_id=session, **SECOND)[0] == 404
    assert server.post(method="DELETE", mcp_session_id=session, **SECOND)[0] == 404
    assert server.post(LIST, mcp_session_id=session, **FIRST)[0] == 200


def test_a_task_without_a_session_is_of_the_token_that_has_started_it(server: Server) -> None:
    call = {"name": "run_background_agent", "arguments": {"agent": "echo", "task": "x"}}
    task = server.modern("tools/call", call, EXTENSION, **FIRST)[1]["result"]
    wanted = {"taskId": task["taskId"]}
    assert server.modern("tasks/get", wanted, EXTENSION, **FIRST)[1]["result"]["taskId"] == task["taskId"]
    assert server.modern("tasks/get", wanted, EXTENSION, **SECOND)[1]["error"]["code"] == -32602
    server.await_end(task["taskId"].partition("-")[0])


def given(**options: Any) -> dict[str, Any]:
    return {
        "http": True,
        "port": None,
        "host": None,
        "token_file": None,
        "allowed_hosts": (),
        "linger": None,
        **options,
    }


def test_the_server_is_reached_from_its_own_machine_if_nothing_else_is_said() -> None:
    address = address_of(given())
    assert address is not None
    assert (address.host, address.port, address.linger) == ("127.0.0.1", 8765, 1800.0)
    assert address_of(given(http=False)) is None


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"host": ANYWHERE}, "--token-file and --allowed-host"),
        ({"host": "::"}, "--token-file and --allowed-host"),
        ({"host": "10.0.0.1", "allowed_hosts": ("a",)}, "--token-file"),
        ({"host": "my.example.org", "token_file": Path("token")}, "--allowed-host"),
    ],
)
def test_another_address_wants_a_token_and_a_name(options: dict[str, Any], missing: str) -> None:
    with pytest.raises(click.UsageError, match=rf"Give {missing}, or leave --host out"):
        address_of(given(**options))


@pytest.mark.parametrize(
    "option",
    [{"port": 1}, {"host": "localhost"}, {"token_file": Path("t")}, {"allowed_hosts": ("a",)}, {"linger": 1.0}],
)
def test_options_of_http_want_http(option: dict[str, Any]) -> None:
    name = next(iter(option)).replace("hosts", "host").replace("_", "-")
    with pytest.raises(click.UsageError, match=rf"^--{name} is for --http\."):
        address_of(given(http=False, **option))


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "cannot be read: No such file"),
        (b"# nothing\n", "has no token"),
        (b"short", "at least 16"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_token_file_that_is_of_no_use_is_told_of(tmp_path: Path, content: bytes | None, wrong: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SubactorsError, match=wrong):
        address_of(given(token_file=file))


@pytest.mark.parametrize("name", ["x y", "https://a.example.org", "a.example.org/mcp", "", "::1", "a:99999", "a:b"])
def test_a_name_by_which_nobody_can_call_the_server_is_refused(name: str) -> None:
    with pytest.raises(click.UsageError, match="is no name of a machine"):
        address_of(given(allowed_hosts=(name,)))


def test_names_by_which_clients_can_call_the_server_are_taken() -> None:
    names = ("agents.example.org", "a_b:8443", "[::1]", "[fe80::1]:80", "10.0.0.1")

    address = address_of(given(allowed_hosts=names))

    assert address is not None
    assert tuple(address.allowed_hosts) == names


def test_clients_that_would_be_gone_between_two_requests_are_refused() -> None:
    with pytest.raises(click.UsageError, match=r"--linger 0s is too short: .* Give at least 1s\."):
        address_of(given(linger=0.0))


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_token_file_that_others_may_read_is_warned_of(
    tmp_path: Path, mode: int, *, warned: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKENS[0])
    file.chmod(mode)

    address = address_of(given(token_file=file))

    assert address is not None
    assert list(address.tokens) == [TOKENS[0]]
    assert (f"chmod 600 {file}" in " ".join(capfd.readouterr().err.split())) is warned


def test_a_wrong_use_is_told_of_without_loading_what_serves(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom subactors.runtime.cli.main import run_command_line\n"
        "try:\n    run_command_line()\nfinally:\n    "
        "print(sorted({'mcp', 'uvicorn', 'starlette', 'yaml'} & {*sys.modules}))"
    )
    arguments = ["mcp", "team.yaml", "--http", "--token-file", str(tmp_path / "none")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env=environ(),
        cwd=tmp_path,
        timeout=50,
        check=False,
    )

    assert "none cannot be read: No such file or directory." in " ".join(done.stderr.split())
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_a_wrong_use_is_told_of_before_anything_is_started(tmp_path: Path) -> None:
    line = command(tmp_path, "--http", "--host", ANYWHERE)
    done = subprocess.run(line, capture_output=True, text=True, env=environ(), timeout=50, check=False)
    assert done.returncode == 2
    assert "Error: At 0.0.0.0, other machines reach the server." in done.stderr
