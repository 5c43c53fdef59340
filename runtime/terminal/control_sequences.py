"""Control sequences: takes out of text whatever could command a terminal, or deceive its reader.

Lines, tabs and every visible character stay. It knows nothing of streams; `streams` applies it.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["Cleaner", "clean", "visible", "visible_line"]

_LONGEST: Final = 65_536
"""Characters of an unfinished sequence that are held back; a longer one is shown as the text that it then is."""

_STRING_BEGINS: Final = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
"""OSC, DCS, SOS, PM and APC: what they hold reaches up to a terminator."""

_STRING_HOLDS: Final = r"[^\x07\x18\x1a\x1b\x9c\n]*+"
"""It ends with its line at the latest, so that an unfinished one hides no more of the text than that."""

_CSI: Final = r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+"

_UNSEEN: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
"""Marks, overrides and isolates of bidirectional text; characters without width; tags."""

_WHOLE: Final = "|".join(
    (
        rf"{_STRING_BEGINS}{_STRING_HOLDS}(?:\x07|\x1b\\|\x9c)",
        rf"{_CSI}[@-~]",
        r"\x1b[ -/]++[0-~]",
    )
)
_BEGUN: Final = rf"(?P<begun>(?:{_STRING_BEGINS}{_STRING_HOLDS}\x1b?|{_CSI}|\x1b[ -/]*)\Z)"
_REST: Final = rf"\x1b[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f{_UNSEEN}]|(?P<line>[\u2028\u2029])|(?P<fault>[\ud800-\udfff])"

# Not compiled here: that takes six milliseconds, and most of what is printed is plain. `re` remembers what it compiles.
_IN_A_TEXT: Final = f"{_WHOLE}|{_REST}"
_IN_A_PIECE: Final = f"{_WHOLE}|{_BEGUN}|{_REST}"
_HARMLESS: Final = rf"[^\x00-\x08\x0b-\x1f\x7f-\x9f{_UNSEEN}\u200c\u200d\u2028\u2029\ud800-\udfff]*\Z"

_MEANT: Final = "[\u0600-\u200b\u200e-\U0010ffff]"
"""Neighbours between which a joiner means something: letters of Arabic and Indic scripts, emoji."""

_STRAY_JOINER: Final = f"(?<!{_MEANT})[\u200c\u200d]|[\u200c\u200d](?!{_MEANT})"
_LAST_JOINERS: Final = "[\u200c\u200d]+\\Z"


def clean(text: str) -> str:
    """Return `text` without control sequences; halves of surrogate pairs become the replacement character."""
    return text if _is_harmless(text) else re.sub(_STRAY_JOINER, "", re.sub(_IN_A_TEXT, _instead, text))


def visible(text: str) -> str:
    """Return `text` with a name in the place of each character that `clean` would take out, as Python writes it.

    For whoever has to see what there is, and not only what it looks like.
    """
    if _is_harmless(text):
        return text
    return re.sub(f"{_STRAY_JOINER}|[\x00-\x08\x0b-\x1f\x7f-\x9f{_UNSEEN}\u2028\u2029\ud800-\udfff]", _named, text)


def visible_line(text: str) -> str:
    """Return the same on one line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


class Cleaner:
    """Cleans one text that comes in pieces: a sequence may begin in one piece and end in another. For one thread."""

    def __init__(self) -> None:
        self._begun = ""
        self._joiners = ""
        self._before = ""

    def feed(self, piece: str) -> str:
        """Return what of the text may be shown by now."""
        text = self._begun + piece
        self._begun = ""
        if self._joiners or not _is_harmless(text):
            text = re.sub(_IN_A_PIECE, self._instead, text)
            if len(self._begun) > _LONGEST:
                text += re.sub(_IN_A_TEXT, _instead, self._begun)
                self._begun = ""
            text = self._join(text)
        self._before = text[-1:] or self._before
        return text

    def end(self) -> str:
        """Return what is left, now that no more will come."""
        text = re.sub(_IN_A_TEXT, _instead, self._begun)
        # Joiners at the end join nothing.
        text = re.sub(_STRAY_JOINER, "", self._before + self._joiners + text)[len(self._before) :]
        self._begun = self._joiners = ""
        self._before = text[-1:] or self._before
        return text

    def _join(self, text: str) -> str:
        """Take out joiners that mean nothing; what the last ones mean is for the next piece to say."""
        text = self._before + self._joiners + text
        last = re.search(_LAST_JOINERS, text)
        # Two in a row mean as little as a million.
        self._joiners = last.group()[:2] if last else ""
        if last:
            text = text[: last.start()]
        return re.sub(_STRAY_JOINER, "", text)[len(self._before) :]

    def _instead(self, found: re.Match[str]) -> str:
        begun = found["begun"]
        if begun is None:
            return _instead(found)
        self._begun = begun
        return ""


def _is_harmless(text: str) -> bool:
    plain = text.replace("\n", "")
    return (plain.isascii() and plain.isprintable()) or re.match(_HARMLESS, text) is not None


def _instead(found: re.Match[str]) -> str:
    return {"line": "\n", "fault": "\ufffd"}.get(found.lastgroup or "", "")


def _named(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape", "surrogatepass").decode()
