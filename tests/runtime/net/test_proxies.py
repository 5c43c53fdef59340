"""Proxies that the environment names: used where they are needed, and blamed where it is they that fail."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from mcp_web_servers import web
from model_server import ModelServer, Text
from proxy_server import ProxyServer
from subactors.runtime import ToolsetError
from subactors.runtime.errors import ModelError
from subactors.runtime.models.base import Turn
from subactors.runtime.models.open import open_agent_model, open_model
from subactors.runtime.net.proxies import ProxyError, proxy_for
from subactors.runtime.team.config import AgentConfig, Fallback, ModelConfig
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.mcp.toolset import McpToolset

FAR = "http://model.example/v1"
FAR_TLS = "https://model.example/v1"
PASSWORD = "pass-4711-word"  # noqa: S105 - of a test
without_socks = pytest.mark.skipif(importlib.util.find_spec("socksio") is not None, reason="socksio is installed")


def ask(url: str, environ: dict[str, str]) -> Turn:
    async def complete() -> Turn:
        config = ModelConfig(reference="m", provider="vllm", name="m", base_url=url)
        client = open_model(config, environ=environ, idle_timeout=20.0, retries=0)
        try:
            return await client.complete([{"role": "user", "content": "Hello?"}], [], lambda _: None)
        finally:
            await client.close()

    return asyncio.run(complete())


def failure(url: str, environ: dict[str, str]) -> str:
    with pytest.raises(ModelError) as caught:
        ask(url, environ)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


# --- which proxy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "environ", "address"),
    [
        (FAR, {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        (FAR, {"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://p:1"),
        (FAR, {"HTTPS_PROXY": "http://p:1"}, None),
        (FAR_TLS, {"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"}, "http://p:1"),
        (FAR_TLS, {"https_proxy": "", "HTTPS_PROXY": "http://p:1"}, None),
        (FAR_TLS, {"all_proxy": "http://p:1"}, "http://p:1"),
        (FAR_TLS, {"HTTPS_PROXY": "p"}, "http://p:80"),
        (FAR_TLS, {"HTTPS_PROXY": " //p:3128/ "}, "http://p:3128"),
        (FAR_TLS, {"HTTPS_PROXY": f"https://u:{PASSWORD}@p"}, "https://p:443"),
        (FAR_TLS, {"HTTPS_PROXY": "http://[::2]:8080"}, "http://[::2]:8080"),
        (FAR, {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        (FAR, {}, None),
    ],
)
def test_the_proxy_of_a_scheme_wins_over_that_of_all_and_lower_case_over_upper(
    url: str, environ: dict[str, str], address: str | None
) -> None:
    proxy = proxy_for(url, environ)
    assert (proxy.address if proxy is not None else None) == address
    assert PASSWORD not in repr(proxy)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:1/v1", "http://127.0.0.1:1", "http://127.8.9.1", "http://[::1]:1", "http://a.localhost"],
)
@pytest.mark.parametrize("value", ["socks5://p:1080", "http://p:1", "no proxy at all", "ftp://p"])
def test_a_server_on_this_machine_is_reached_directly_whatever_proxies_are_named(url: str, value: str) -> None:
    assert proxy_for(url, {"ALL_PROXY": value, "HTTP_PROXY": value}) is None


def test_a_server_at_an_address_or_name_of_this_machine_is_reached_directly() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, and tells which address would be used
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]

    for host in (own, socket.gethostname()):
        assert proxy_for(f"http://{host}:8000/v1", {"ALL_PROXY": "socks5://p:1080"}) is None
    assert proxy_for("http://192.0.2.77:8000/v1", {"ALL_PROXY": "http://p:1080"}) is not None


@pytest.mark.parametrize(
    ("exceptions", "url"),
    [
        ("*", FAR),
        ("model.example", FAR),
        ("other, MODEL.Example.", "http://Model.example./v1"),
        ("a b\tmodel.example", FAR),
        ("example", FAR),
        (".example", FAR),
        ("*.example", FAR),
        ("model.example:80", FAR),
        ("model.example:443", FAR_TLS),
        ("model.example:8000", "http://model.example:8000/v1"),
        ("http://model.example", FAR),
        ("10.0.0.0/8", "http://10.1.2.3/v1"),
        ("10.1.2.3", "http://10.1.2.3:99/v1"),
        ("10.1.2.3:99", "http://10.1.2.3:99/v1"),
        ("fd00::/8", "http://[fd00::17]:1/v1"),
        ("[fd00::17]", "http://[fd00::17]/v1"),
        ("[fd00::17]:8080", "http://[fd00::17]:8080/v1"),
        ("fd00:0::17", "http://[fd00::17]/v1"),
    ],
)
def test_a_server_in_no_proxy_is_reached_directly(exceptions: str, url: str) -> None:
    assert proxy_for(url, {"ALL_PROXY": "socks5://p:1080", "NO_PROXY": exceptions}) is None
    assert proxy_for(url, {"ALL_PROXY": "socks5://p:1080", "no_proxy": exceptions, "NO_PROXY": "x"}) is None


@pytest.mark.parametrize(
    "exceptions",
    ["", "ample", "del.example", "model.example:8000", "https://model.example", "10.0.0.0/8", "model.example.com", ","],
)
def test_a_server_that_no_proxy_does_not_name_is_not_excepted(exceptions: str) -> None:
    assert proxy_for(FAR, {"HTTP_PROXY": "http://p:1", "NO_PROXY": exceptions}) is not None


@pytest.mark.parametrize(
    "value",
    [
        *("http://", "http://p:port", "http://p:99999", "ftp://p", "http://[::1", "http://a b", "socks4://p"),
        *("http://256.1.1.1", "http://p..q", "http://[p]:1", "http://p:-1", "http://p^q", f"http://{'p' * 70}"),
    ],
)
def test_a_proxy_that_is_no_address_is_named_by_its_variable_and_never_shown(value: str) -> None:
    value = value.replace("http://", f"http://user:{PASSWORD}@")
    with pytest.raises(ProxyError) as caught:
        proxy_for(FAR_TLS, {"HTTPS_PROXY": value})
    assert str(caught.value) in failure(FAR_TLS, {"HTTPS_PROXY": value})
    assert "the proxy that HTTPS_PROXY names" in str(caught.value)
    assert "Write it like http://host:port" in str(caught.value)
    assert PASSWORD not in str(caught.value)


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9", "http://127.0.0.1:9", "ftp://x"])
def test_a_model_on_this_machine_answers_whatever_proxy_the_environment_names(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, value)
    with ModelServer([Text("Here.")]) as server:
        assert ask(server.base_url, dict(os.environ)).content == "Here."


@without_socks
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
def test_a_socks_proxy_that_is_needed_says_which_package_is_missing(scheme: str) -> None:
    said = failure(FAR_TLS, {"ALL_PROXY": f"{scheme}://u:{PASSWORD}@127.0.0.1:1080"})
    assert "model.example is reached through the SOCKS proxy socks5" in said
    assert "which ALL_PROXY names" in said
    assert "pip install 'httpx2[socks]'" in said


@pytest.mark.parametrize("far_first", [False, True])
def test_a_proxy_that_cannot_be_used_costs_no_other_model_of_an_agent(far_first: bool) -> None:
    async def complete(url: str) -> Turn:
        configs = [ModelConfig(reference=name, provider="vllm", name="m", base_url=name) for name in (url, FAR)]
        first, second = reversed(configs) if far_first else configs
        agent = AgentConfig(name="a", model=first, fallback=Fallback(models=(second,)))
        model = open_agent_model(agent, environ={"HTTP_PROXY": "ftp://p"}, idle_timeout=20.0)
        try:
            return await model.complete([{"role": "user", "content": "Hello?"}], [], lambda _: None)
        finally:
            await model.close()

    with ModelServer([Text("Here.")]) as server:
        assert asyncio.run(complete(server.base_url)).content == "Here."


@pytest.mark.parametrize("url", [FAR, FAR_TLS])
def test_a_proxy_that_is_not_there_is_blamed_and_not_the_address_of_the_model(url: str) -> None:
    port = closed_port()
    said = failure(url, {"ALL_PROXY": f"http://u:{PASSWORD}@127.0.0.1:{port}"})
    assert f"the proxy http://127.0.0.1:{port} cannot be reached" in said
    assert "Correct or unset ALL_PROXY, or name model.example in NO_PROXY." in said
    assert "base_url" not in said


def test_a_model_is_reached_through_its_proxy() -> None:
    with ModelServer([Text("Far away.")]) as server, ProxyServer(int(server.base_url.split(":")[2][:-3])) as proxy:
        environ = {"http_proxy": f"http://us%40er:{PASSWORD}@127.0.0.1:{proxy.port}"}
        assert ask(FAR, environ).content == "Far away."
    assert proxy.asked == ["POST http://model.example/v1/chat/completions"]
    assert (proxy.authorizations[0] or "").startswith("Basic ")


@pytest.mark.parametrize("url", [FAR, FAR_TLS])
def test_a_proxy_that_wants_a_password_says_so(url: str) -> None:
    with ProxyServer(status=407) as proxy:
        place = f"127.0.0.1:{proxy.port}"
        said = failure(url, {"ALL_PROXY": f"http://{place}"})
        assert f"the proxy http://{place} asks for a user and password; put them in ALL_PROXY" in said
        said = failure(url, {"ALL_PROXY": f"http://u:{PASSWORD}@{place}"})
        assert f"the proxy http://{place} does not accept the user and password in ALL_PROXY" in said


def test_a_proxy_that_does_not_reach_the_server_is_named() -> None:
    with ProxyServer(status=502) as proxy:
        said = failure(FAR_TLS, {"https_proxy": f"127.0.0.1:{proxy.port}"})
        assert f"the proxy http://127.0.0.1:{proxy.port} refused to connect to model.example (502" in said
        said = failure(FAR, {"http_proxy": f"127.0.0.1:{proxy.port}"})
        assert f"It is reached through the proxy http://127.0.0.1:{proxy.port}, which http_proxy names" in said
    assert proxy.asked[0] == "CONNECT model.example:443"


# --- MCP servers ----------------------------------------------------------------------------------------------------


def tools_of(url: str, transport: str, environ: dict[str, str]) -> list[str]:
    async def work() -> list[str]:
        server: dict[str, Any] = {"url": url, "transport": transport}
        box = ToolBox([McpToolset(working_directory=Path.cwd(), environ={**os.environ, **environ}, server=server)])
        try:
            await box.open()
            return [schema["function"]["name"] for schema in box.schemas]
        finally:
            await box.close()

    return asyncio.run(work())


@first_always("transport", ["streamable-http", "sse"])
def test_an_mcp_server_on_this_machine_is_reached_whatever_proxy_the_environment_names(transport: str) -> None:
    with web(transport) as url:
        assert "pid" in tools_of(url, transport, {"ALL_PROXY": "socks5://127.0.0.1:9", "HTTP_PROXY": "ftp://x"})


@pytest.mark.parametrize("transport", ["streamable-http", "sse"])
def test_a_proxy_that_is_not_there_is_blamed_and_not_the_mcp_server(transport: str) -> None:
    port = closed_port()
    with pytest.raises(ToolsetError) as caught:
        tools_of("http://mcp.example/mcp", transport, {"HTTP_PROXY": f"http://u:{PASSWORD}@127.0.0.1:{port}"})
    assert f"the proxy http://127.0.0.1:{port} cannot be reached" in str(caught.value)
    assert PASSWORD not in str(caught.value)


@without_socks
def test_an_mcp_server_behind_a_socks_proxy_says_which_package_is_missing() -> None:
    with pytest.raises(ToolsetError, match="`socksio`"):
        tools_of("https://mcp.example/mcp", "sse", {"all_proxy": "socks5://127.0.0.1:9"})


def test_nothing_is_imported_to_choose_a_proxy() -> None:
    code = "import sys, subactors.runtime.net.proxies; sys.exit('httpx2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
