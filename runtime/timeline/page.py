"""Page: a timeline as one HTML file, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from ..tasks.views import iso_time
from ..text import duration
from .reading import Row, Timeline
from .svg import svg
from .words import about_timeline, harmless, name_of

__all__ = ["page"]

_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 1240px; padding: 0 1rem }
h1 { font-size: 1.3rem } .wide { margin: 1rem 0; overflow-x: auto }
.wide svg { display: block; height: auto; max-width: 1200px; min-width: 800px; width: 100% }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid #8884 }
.number { text-align: right } td.number, tbody th { white-space: nowrap } td.text { overflow-wrap: anywhere }
"""

_HEADS: Final = "".join(
    f'<th scope="col"{number}>{name}</th>'
    for name, number in (
        ("Task", ""),
        ("Status", ""),
        *((name, ' class="number"') for name in ("Began after", "Took", "Turns", "Tools", "Tokens")),
        ("Reason", ""),
    )
)

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(timeline: Timeline) -> str:
    """Return the text of an HTML file."""
    title = escape(f"Timeline of {harmless(timeline.title)}")
    place = "" if timeline.title == timeline.run else f", in {escape(timeline.run)}"
    rows = "\n".join(line for row in timeline.rows for line in _row(row))
    notes = "".join(f"<p>{escape(harmless(sentence))}</p>\n" for sentence in timeline.damaged)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{escape(about_timeline(timeline))}. It began at {iso_time(timeline.began)}{place}.</p>
{notes}<div class="wide" role="region" tabindex="0" aria-label="Picture of the timeline">
{svg(timeline, has_head=False)}</div>
<div class="wide" role="region" tabindex="0" aria-label="Table of the tasks">
<table>
<caption>Tasks</caption>
<thead><tr>{_HEADS}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</main>
</body>
</html>
"""


def _row(row: Row) -> Iterator[str]:
    turns = sum(part.kind == "turn" for part in row.parts)
    tools = sum(part.kind == "tool" for part in row.parts)
    usage = row.view.usage
    numbers = (
        duration(row.began),
        duration(row.ended - row.began),
        f"{turns:,}",
        f"{tools:,}",
        f"{usage.input_tokens + usage.output_tokens:,}",
    )
    indent = f' style="padding-left: {0.6 + row.depth}rem"' if row.depth else ""
    yield f'<tr><th scope="row"{indent}>{escape(name_of(row))}</th><td>{row.view.status}</td>'
    yield "".join(f'<td class="number">{number}</td>' for number in numbers)
    yield f'<td class="text">{escape(harmless(row.view.reason))}</td></tr>'
