"""HTML as a model reads it."""

from __future__ import annotations

import pytest
from subactors.runtime.toolsets.fetch.html import readable


def markdown(page: str) -> str:
    return readable(page, base="https://host/folder/page", markup=True)[1]


def text(page: str) -> str:
    return readable(page, base="https://host/", markup=False)[1]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<h2>Head</h2>after", "## Head\n\nafter"),
        ("<p>one\n  two</p><p>three", "one two\n\nthree"),
        ("a<br>b", "a\nb"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "- a\n- b\n  - c"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<pre>  x = 1\n  y</pre>", "```\n  x = 1\n  y\n```"),
        ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n\n> b"),
        ("<a href='../up'>go</a>", "[go](https://host/up)"),
        ("<a href='javascript:x()'>go</a> <a href='#here'>jump</a>", "go jump"),
        ("<a href='http://[broken'>go</a>", "go"),
        ("<img src=x alt='A cat'><img src=y>", "[image: A cat]"),
        ("<b>bold</b> <i>it</i> <code>c</code>", "**bold** *it* `c`"),
        ("&lt;tag&gt; &amp; &eacute;", "<tag> & é"),
        (
            "<table><tr><th>A<th>B</tr><tr><td>1</td><td><p>2</p></td></tr></table>",
            "| A | B |\n|---|---|\n| 1 | 2 |",
        ),
        ("<table><tr><td>menu<table><tr><td>1<td>2</table></table>", "menu\n\n| 1 | 2 |"),
    ],
)
def test_a_page_becomes_markdown(page: str, expected: str) -> None:
    assert markdown(page) == expected


def test_what_nobody_sees_is_left_out() -> None:
    page = "<head><style>p{}</style></head><script>if (a<b) x()</script><svg>t</svg>seen<noscript>n</noscript>"
    assert markdown(page) == "seen"


def test_text_has_no_marks() -> None:
    assert text("<h1>Head</h1><ul><li><b>a</b> <a href=/x>link</a></ul>") == "Head\n\n- a link"


def test_the_title_is_told_apart() -> None:
    assert readable("<head><title>A\n title</title></head><p>x", base="", markup=True) == ("A title", "x")


@pytest.mark.parametrize("page", ["", "<", "</p></ul></table></a></b>", "<p" * 1000, "<!--", "<table><td><ul><pre>x"])
def test_a_broken_page_is_no_error(page: str) -> None:
    markdown(page)


def test_a_deeply_nested_page_is_read() -> None:
    assert markdown("<div>" * 50_000 + "deep") == "deep"
