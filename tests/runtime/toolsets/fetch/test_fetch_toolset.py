"""The `fetch` tool: pages of the web, bounded, and from nowhere it must not go."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import json
import socket
from typing import Any

import pytest
from page_server import Page, Pages
from subactors.runtime.net.own_addresses import is_own
from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.fetch.network import refusal
from subactors.runtime.toolsets.fetch.toolset import FetchToolset

PRIVATE = {"allow_private_ips": True}


def fetch(*urls: str, options: dict[str, Any] | None = None, **arguments: Any) -> ToolAnswer:
    box = ToolBox([FetchToolset(**(PRIVATE if options is None else options))])
    return asyncio.run(box.call("fetch", json.dumps({"urls": urls, **arguments})))


def moved(target: str) -> Page:
    return Page(status=302, headers=(("Location", target),))


def test_a_page_is_read_as_markdown_with_its_title_and_absolute_links() -> None:
    page = Page(b"<title>T</title><h1>Head</h1><p>See <a href='/b'>this</a> <b>now</b>.</p>")
    with Pages({"/a": page}) as pages:
        answer = fetch(f"{pages.address}/a")
        assert not answer.is_error
        assert f"T\n\n# Head\n\nSee [this]({pages.address}/b) **now**." in answer.text
        assert "status 200" in answer.text


@pytest.mark.parametrize(("form", "text"), [("text", "Head\n\nSee this."), ("html", "<h1>Head</h1>See <i>this</i>.")])
def test_a_page_is_read_as_text_or_as_it_is(form: str, text: str) -> None:
    with Pages({"/": Page(b"<h1>Head</h1>See <i>this</i>.")}) as pages:
        assert fetch(f"{pages.address}/", format=form).data["pages"][0]["text"] == text


def test_several_pages_are_read_at_once_and_one_that_fails_spoils_nothing() -> None:
    with Pages({"/a": Page(b"first", "text/plain"), "/b": Page(b"{}", "application/json")}) as pages:
        answer = fetch(f"{pages.address}/a", f"{pages.address}/b", "ftp://example.com/")
    assert not answer.is_error
    assert [page["text"] for page in answer.data["pages"]] == ["first", "{}", ""]
    assert "does not start with http:// or https://" in answer.data["pages"][2]["error"]


def test_a_status_of_an_error_is_an_error_with_the_page() -> None:
    with Pages({}) as pages:
        answer = fetch(f"{pages.address}/a")
    assert answer.is_error
    assert "status 404" in answer.text
    assert "not here" in answer.text


def test_what_is_no_text_is_described() -> None:
    with Pages({"/": Page(b"\x89PNG", "image/png")}) as pages:
        answer = fetch(pages.address)
    assert answer.is_error
    assert "image/png, 4 bytes" in answer.text


def test_text_is_read_in_the_encoding_that_the_page_declares() -> None:
    pages = {
        "/header": Page("é".encode("latin-1"), "text/plain; charset=latin-1"),
        "/meta": Page(b'<meta charset="latin-1"><p>' + "é".encode("latin-1")),
        "/none": Page("é".encode(), "text/plain"),
        "/wrong": Page("é".encode(), "text/plain; charset=nonsense"),
    }
    with Pages(pages) as server:
        answer = fetch(*(server.address + path for path in pages))
    assert [page["text"] for page in answer.data["pages"]] == ["é"] * 4


def test_a_packed_page_is_unpacked() -> None:
    packed = Page(gzip.compress(b"content"), "text/plain", headers=(("Content-Encoding", "gzip"),))
    with Pages({"/": packed}) as pages:
        assert fetch(pages.address).data["pages"][0]["text"] == "content"


@pytest.mark.parametrize("headers", [(), (("Content-Encoding", "gzip"),)])
def test_no_more_is_read_than_a_bound_however_it_is_packed(headers: tuple[tuple[str, str], ...]) -> None:
    body = b"x" * 30_000_000
    with Pages({"/": Page(gzip.compress(body, 1) if headers else body, "text/plain", headers=headers)}) as pages:
        answer = fetch(pages.address)
    assert answer.data["pages"][0]["size"] == 2_000_000
    assert "Only the first 2,000,000 bytes" in answer.text
    assert len(answer.text) <= 31_000


def test_a_page_that_takes_too_long_is_given_up() -> None:
    with Pages({"/": Page(b"x", hold=True)}) as pages:
        answer = fetch(pages.address, timeout=0.2)
    assert answer.is_error
    assert "longer than 0.2 s" in answer.text


def test_a_redirect_is_followed_and_told() -> None:
    with Pages({"/a": moved("/b"), "/b": Page(b"there", "text/plain")}) as pages:
        answer = fetch(f"{pages.address}/a")
        assert "there" in answer.text
        assert f"moved to {pages.address}/b" in answer.text


def test_a_circle_of_redirects_is_an_error() -> None:
    with Pages({"/a": moved("/a")}) as pages:
        assert "redirects more than 10 times" in fetch(f"{pages.address}/a").text


@pytest.mark.parametrize("name", ["metadata.google.internal", "METADATA.google.internal.", "instance-data", "metadata"])
def test_the_metadata_of_a_cloud_is_not_asked_for_by_its_name_wherever_that_leads(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pages({"/": Page(b"secret", "text/plain")}) as pages:
        leads_here(monkeypatch, name, pages)
        answer = fetch(f"http://{name}:{pages.port}/")
        assert pages.asked == []
    assert "never reaches" in answer.text


def leads_here(monkeypatch: pytest.MonkeyPatch, name: str, pages: Pages, *others: str) -> list[str]:
    """Have a name lead to a server of the test, after other addresses; return the list of what is looked up."""
    looked_up: list[str] = []
    ask = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **more: Any) -> Any:
        looked_up.append(host)
        if host.lower() == name.lower():
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (address, pages.port)) for address in (*others, "127.0.0.1")]
        return ask(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


def test_a_name_that_leads_to_this_machine_is_refused_and_looked_up_once_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pages({"/": Page(b"secret", "text/plain")}) as pages:
        looked_up = leads_here(monkeypatch, "rebinding.example", pages)
        refused = fetch(f"http://rebinding.example:{pages.port}/", options={})
        assert pages.asked == []
        assert looked_up == ["rebinding.example"]
        allowed = fetch(f"http://rebinding.example:{pages.port}/")
        assert looked_up == ["rebinding.example"] * 2  # and not by whoever connects
    assert "127.0.0.1, which is a private address" in refused.text
    assert "secret" in allowed.text


def own_addresses() -> list[str]:
    """The addresses of this machine's interfaces; of one that is no loopback, what reaches out into the world."""
    found = ["127.0.0.1"]
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as asking, contextlib.suppress(OSError):
            asking.connect((outside, 9))
            found.append(asking.getsockname()[0])
    return found


@pytest.mark.parametrize("address", own_addresses())
def test_an_address_of_an_interface_of_this_machine_is_known_as_such(address: str) -> None:
    # A public one would be refused for this reason alone.
    assert is_own(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "255.255.255.255"])
def test_an_address_of_another_machine_is_not_taken_for_this_one(address: str) -> None:
    assert not is_own(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433"])  # noqa: S104 - asked for, not bound
def test_this_machine_is_not_asked_unless_allowed(host: str) -> None:
    with Pages({"/": Page(b"secret", "text/plain")}) as pages:
        answer = fetch(f"http://{host}:{pages.port}/", options={})
        assert pages.asked == []
    assert answer.is_error
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/", "http://[fe80::1]/", "http://[fd00:ec2::254]/", "file:///etc/passwd"]
)
def test_a_redirect_leads_nowhere_that_must_not_be_asked(target: str) -> None:
    with Pages({"/": moved(target)}) as pages:
        answer = fetch(pages.address)
    assert answer.is_error
    assert "never reaches" in answer.text or "http:// or https://" in answer.text


def test_a_redirect_is_held_to_the_domains_of_the_team_file() -> None:
    with Pages({"/": Page(b"there", "text/plain")}) as other, Pages({"/": moved("")}) as pages:
        target = moved(f"http://localhost:{other.port}/")
        with Pages({"/": target}) as start:
            answer = fetch(start.address, options={**PRIVATE, "allowed_domains": ["127.0.0.1"]})
        assert other.asked == []
        assert pages.asked == []
    assert "`allowed_domains`" in answer.text


@pytest.mark.parametrize(
    ("patterns", "host", "refused"),
    [
        (["example.com"], "example.com", True),
        (["example.com"], "docs.EXAMPLE.com.", True),
        (["example.com"], "badexample.com", False),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], "docs.example.com", True),
        ([".example.com"], "docs.example.com", True),
    ],
)
def test_a_blocked_domain_is_refused_with_its_subdomains(patterns: list[str], host: str, refused: bool) -> None:
    # Nothing is asked for: the other domains are not among those allowed.
    options = {"blocked_domains": patterns, "allowed_domains": ["nothing.invalid"]}
    text = fetch(f"http://{host}/", options=options).text
    assert ("`blocked_domains`" in text) is refused


@pytest.mark.parametrize(
    "url", ["nonsense", "http://", "javascript:alert(1)", "http://a b/", "", "http://u:p@127.0.0.1/"]
)
def test_what_is_no_address_of_a_page_is_an_error(url: str) -> None:
    assert fetch(url).is_error


def test_a_host_that_cannot_be_reached_is_an_error() -> None:
    with Pages({}) as pages:
        address = pages.address
    assert "could not be read" in fetch(address).text
    assert "could not be read" in fetch("http://nowhere.invalid/").text


@pytest.mark.parametrize(
    "arguments", [{"urls": []}, {"urls": ["http://x/"] * 11}, {"urls": ["http://x/"], "timeout": 0}]
)
def test_a_call_that_makes_no_sense_is_an_error(arguments: dict[str, Any]) -> None:
    assert asyncio.run(ToolBox([FetchToolset()]).call("fetch", json.dumps(arguments))).is_error


@pytest.mark.parametrize(
    ("address", "by_default", "if_private_may"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True, True),
        ("10.0.0.1", False, True),
        ("172.16.0.1", False, True),
        ("192.168.1.1", False, True),
        ("127.0.0.1", False, True),
        ("100.64.0.1", False, True),
        ("fd12::1", False, True),
        ("::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("2002:a9fe:a9fe::", False, False),
        ("fe80::1", False, False),
        ("168.63.129.16", False, False),
        ("::ffff:168.63.129.16", False, False),
        ("2002:a83f:8110::", False, False),
        ("192.0.0.192", False, False),
        ("fd00:ec2::254", False, False),
        ("fd00:ec2::23", False, False),
        ("fd20:ce::254", False, False),
        ("fd00:42::42", False, False),
        ("169.254.170.2", False, False),
        ("fec0::1", False, True),
        ("64:ff9b::7f00:1", False, True),
        ("2002:7f00:1::", False, True),
        ("127.8.8.8", False, True),
        ("100.100.100.200", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - an address that is asked for, not one that is bound
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("240.0.0.1", False, False),
    ],
)
def test_which_addresses_may_be_reached(address: str, by_default: bool, if_private_may: bool) -> None:
    it = ipaddress.ip_address(address)
    assert (refusal(it, allow_private=False) == "") is by_default
    assert (refusal(it, allow_private=True) == "") is if_private_may
