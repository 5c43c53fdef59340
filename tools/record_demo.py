"""The recording: runs a command on a terminal of 80 columns, and writes what it showed as an SVG that moves.

    python tools/record_demo.py                                  # docs/pictures/demo.svg, of the demonstration
    python tools/record_demo.py --out help.svg subactors --help  # of any other command

The command runs for real, in a pseudo terminal; `pyte` is the terminal, and looks are taken four times a second. Needs
the extra `docs`. A picture of a program that does not move, as in a printed page, shows the last screen.
"""

from __future__ import annotations

import argparse
import fcntl
import html
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from pathlib import Path
from typing import Final, NamedTuple

import pyte

__all__ = ["drawn", "record"]

ROOT: Final = Path(__file__).parents[1]
COLUMNS: Final = 80
ROWS: Final = 24

LOOK: Final = 0.25
"""Seconds between looks at the screen."""

LONGEST: Final = 1.5
"""Seconds for which a screen is shown at most: nobody waits for a picture."""

LAST: Final = 6.0
"""Seconds for which the last screen is shown."""

WIDTH: Final = 8.4
HEIGHT: Final = 17
"""Of a character, in pixels."""

_WORDS: Final = re.compile(r"\S+(?: \S+)*")

COLOURS: Final = {
    "default": "#d6d6d6",
    "black": "#6b7280",
    "red": "#f87171",
    "green": "#86c06c",
    "brown": "#e0b050",
    "blue": "#6ea8fe",
    "magenta": "#c792ea",
    "cyan": "#63c5c5",
    "white": "#f5f5f5",
}


class Piece(NamedTuple):
    """Characters of one look, side by side."""

    column: int
    text: str
    colour: str
    is_bold: bool


Row = tuple[Piece, ...]


class Frame(NamedTuple):
    """A screen, and for how long it is shown."""

    rows: tuple[Row, ...]
    seconds: float


def _row(screen: pyte.Screen, number: int) -> Row:
    pieces: list[Piece] = []
    for column in range(COLUMNS):
        cell = screen.buffer[number][column]
        colour = COLOURS.get(cell.fg.removeprefix("bright"), f"#{cell.fg}")  # a colour without a name is hexadecimal
        last = pieces[-1] if pieces else None
        if last is not None and (last.colour, last.is_bold) == (colour, cell.bold):
            pieces[-1] = last._replace(text=last.text + cell.data)
        else:
            pieces.append(Piece(column, cell.data, colour, cell.bold))
    # Programs that draw the picture make one of several spaces, so it has none: each run of words has its place.
    return tuple(
        piece._replace(column=piece.column + words.start(), text=words[0])
        for piece in pieces
        for words in _WORDS.finditer(piece.text)
    )


def record(command: list[str], folder: Path, rows: int = ROWS) -> list[Frame]:
    """Run a command on a terminal, and return its screens in their order."""
    screen = pyte.Screen(COLUMNS, rows)
    stream = pyte.ByteStream(screen)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(rows))
        try:
            os.execvp(command[0], command)  # noqa: S606 - the command that the caller wants to be seen
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            os._exit(127)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, COLUMNS, 0, 0))
    frames: list[Frame] = []
    since, is_open = time.monotonic(), True
    while is_open:
        if select.select([terminal], [], [], LOOK)[0]:
            try:
                said = os.read(terminal, 65536)
            except OSError:  # what Linux says of a terminal whose other end is closed
                said = b""
            is_open = bool(said)
            stream.feed(said)
        now = time.monotonic()
        if is_open and now - since < LOOK:
            continue
        shown = tuple(_row(screen, number) for number in range(rows))
        if frames and frames[-1].rows == shown:
            frames[-1] = Frame(shown, frames[-1].seconds + now - since)
        else:
            frames.append(Frame(shown, now - since))
        since = now
    os.close(terminal)
    os.waitpid(child, 0)
    return [frame._replace(seconds=min(frame.seconds, LONGEST)) for frame in frames[:-1]] + [
        frames[-1]._replace(seconds=LAST)
    ]


def _text(row: Row) -> str:
    """Draw a row at the height 0."""
    parts = []
    for piece in row:
        bold = ' font-weight="bold"' if piece.is_bold else ""
        # The length is said, so that columns are straight in whatever font there is.
        length = f'textLength="{len(piece.text) * WIDTH:.1f}"'
        text = html.escape(piece.text)
        parts.append(f'<text x="{piece.column * WIDTH:.1f}" fill="{piece.colour}"{bold} {length}>{text}</text>')
    return "".join(parts)


def drawn(frames: list[Frame], title: str) -> str:
    """Return the picture of screens, one after the other and again from the beginning."""
    rows = {
        row: f"r{number}" for number, row in enumerate(dict.fromkeys(row for frame in frames for row in frame.rows))
    }
    total = sum(frame.seconds for frame in frames)
    styles, groups, start = [], [], 0.0
    for number, frame in enumerate(frames):
        end = start + frame.seconds
        hidden = f"{end / total:.3%}{{visibility:hidden}}" if number < len(frames) - 1 else ""
        shown = f"{start / total:.3%}{{visibility:visible}}"
        styles.append(f"@keyframes f{number}{{0%{{visibility:hidden}}{shown}{hidden}}}")
        styles.append(f"#f{number}{{animation:f{number} {total:.2f}s step-end infinite}}")
        used = "".join(
            f'<use href="#{rows[row]}" y="{(line + 1) * HEIGHT}"/>' for line, row in enumerate(frame.rows) if row
        )
        shown = "visible" if number == len(frames) - 1 else "hidden"
        groups.append(f'<g id="f{number}" visibility="{shown}">{used}</g>')
        start = end
    width, height = COLUMNS * WIDTH + 24, len(frames[0].rows) * HEIGHT + 52
    definitions = "\n".join(f'<g id="{name}">{_text(row)}</g>' for row, name in rows.items() if row)
    lights = "".join(
        f'<circle cx="{20 + 18 * number}" cy="18" r="5.5" fill="{colour}"/>'
        for number, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">',
            f"<title>{html.escape(title)}</title>",
            "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}",
            *styles,
            "@media (prefers-reduced-motion: reduce){g{animation:none!important}}",
            "</style>",
            f"<defs>{definitions}</defs>",
            f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#1b1f24"/>{lights}',
            f'<text x="{width / 2:.0f}" y="22" fill="#9ca3af" text-anchor="middle">{html.escape(title)}</text>',
            f'<g transform="translate(12 32)">{"".join(groups)}</g>',
            "</svg>\n",
        ]
    )


def main() -> None:
    """Record the command that is given, or the demonstration."""
    parser = argparse.ArgumentParser(description="Records a command on a terminal as an SVG.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "demo.svg")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    command = given.command or ["subactors", "demo", "--crash", "."]
    program = Path(sys.executable).parent / command[0]
    frames = record([str(program) if program.exists() else command[0], *command[1:]], ROOT, given.rows)
    given.out.write_text(drawn(frames, " ".join(command)))
    sys.stdout.write(f"{given.out}: {len(frames)} screens\n")


if __name__ == "__main__":
    main()
