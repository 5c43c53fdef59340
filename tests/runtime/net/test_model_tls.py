"""A model behind TLS: whose certificates are believed, and that the authorities are read once for all tasks."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from model_server import ModelServer, Text
from subactors.runtime import Runtime
from subactors.runtime.errors import ModelError
from subactors.runtime.models.open import open_model
from subactors.runtime.team.config import ModelConfig
from teams import run_and_wait


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for this machine, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed here")
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True, timeout=50)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def secure(server: ModelServer, certificate: Path) -> str:
    """Have a server that is not open yet speak TLS; returns its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    return server.base_url.replace("http://", "https://")


def ask(base_url: str) -> str:
    async def complete() -> str:
        config = ModelConfig(reference="acme/m", provider="acme", name="m", base_url=base_url)
        model = open_model(config, environ={}, idle_timeout=20.0, retries=0)
        try:
            return (await model.complete([{"role": "user", "content": "Hello?"}], [], lambda _: None)).content
        finally:
            await model.close()

    return asyncio.run(complete())


def test_a_certificate_is_believed_when_the_environment_names_it_and_not_before(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModelServer([Text("over TLS")])
    base_url = secure(server, certificate)
    with server:
        with pytest.raises(ModelError, match="certificate verify failed"):
            ask(base_url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask(base_url) == "over TLS"
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(ModelError, match="certificate verify failed"):
            ask(base_url)


def test_after_preloading_a_client_reads_no_certificates() -> None:
    script = """
import ssl
from subactors.runtime.models.open import open_model, preload
from subactors.runtime.team.config import ModelConfig

preload()
ssl.SSLContext.load_verify_locations = ssl.create_default_context = None
open_model(
    ModelConfig(reference="a/b", provider="a", name="b", base_url="https://127.0.0.1:1"), environ={}, idle_timeout=1.0
)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("servers", "loaded"),
    [
        pytest.param(["http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"], 0, id="none where no server has TLS"),
        pytest.param(["http://127.0.0.1:9/v1", "https://127.0.0.1:10/v1"], 1, id="once where one has it"),
    ],
)
def test_certificates_are_loaded_for_all_tasks(servers: list[str], loaded: int) -> None:
    names = ["first", "in_reserve"]
    team = {
        "models": {
            name: {"provider": "openai", "model": "x", "base_url": server, "token_key": "NO_KEY"}
            for name, server in zip(names, servers, strict=True)
        },
        "agents": {
            "agent": {"model": names[0], "instruction": "x", "fallback": {"models": names[1:]}},
            "looks": {"entrypoint": "entrypoints:counts_certificates"},
        },
    }
    with Runtime.from_mapping(team, standby=0) as runtime:
        view = run_and_wait(runtime, "looks")

    assert view.status == "completed", view.reason
    assert view.result == loaded
