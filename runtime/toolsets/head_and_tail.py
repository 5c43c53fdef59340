"""Head and tail: keeps the beginning and the end of a stream of bytes, in bounded memory, and reads them as text.

For bytes that arrive in pieces and may be endless: a command's output, a file of any size. It must never hold more than
about twice its limit and one piece.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

__all__ = ["Excerpt", "HeadAndTail"]

_HEAD_SHARE = 0.4
"""As in `text.bounded`: what came last usually matters more."""

_CONTINUATION = range(0x80, 0xC0)
_MOST_CONTINUATIONS = 3


@dataclass(frozen=True)
class Excerpt:
    """Excerpt: what was kept of a stream.

    Attributes:
        head: the beginning; the whole text when nothing was left out.
        tail: the end; empty when nothing was left out.
        left_out: bytes between the two.
        exact: whether every byte of the two was valid UTF-8; what was not is U+FFFD in them.
    """

    head: str
    tail: str
    left_out: int
    exact: bool


class HeadAndTail:
    """The first and the last bytes of what it is fed. For one thread at a time.

    Args:
        limit: bytes to keep; a stream that is not longer is kept whole.
    """

    def __init__(self, limit: int) -> None:
        self._head_limit = int(limit * _HEAD_SHARE)
        self._tail_limit = max(1, limit - self._head_limit)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.total += len(data)
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        # Trimmed only when twice too long, so that many small pieces do not move the tail around each time.
        if len(self._tail) > 2 * self._tail_limit:
            del self._tail[: -self._tail_limit]

    def excerpt(self) -> Excerpt:
        """Return what is kept so far, as text; a character that the cut went through is left out whole."""
        tail = bytes(self._tail[-self._tail_limit :])
        left_out = self.total - len(self._head) - len(tail)
        if not left_out:
            text, _, exact = _decoded(bytes(self._head) + tail, final=True)
            return Excerpt(text, "", 0, exact)
        broken = 0
        while broken < min(_MOST_CONTINUATIONS, len(tail)) and tail[broken] in _CONTINUATION:
            broken += 1
        head_text, pending, head_exact = _decoded(bytes(self._head), final=False)
        tail_text, _, tail_exact = _decoded(tail[broken:], final=True)
        return Excerpt(head_text, tail_text, left_out + pending + broken, head_exact and tail_exact)


def _decoded(data: bytes, *, final: bool) -> tuple[str, int, bool]:
    """`data` as text, the number of bytes at its end that only begin a character, and whether all others are UTF-8."""
    try:
        text, used = codecs.utf_8_decode(data, "strict", final)
    except UnicodeDecodeError:
        text, used = codecs.utf_8_decode(data, "replace", final)
        return text, len(data) - used, False
    return text, len(data) - used, True
