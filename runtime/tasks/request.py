"""Request: what all that is asked of the supervisor has in common, and how a reply to it is read."""

from __future__ import annotations

import re
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, get_args

import msgspec

__all__ = ["Reply", "Reply_co", "Request", "TaskIds", "in_words"]

Reply = TypeVar("Reply")
Reply_co = TypeVar("Reply_co", covariant=True)

TaskIds: TypeAlias = Annotated[list[str], msgspec.Meta(max_length=10_000)]


class Request(msgspec.Struct, Generic[Reply_co], frozen=True):
    """Request to the supervisor; each kind says what it is answered with: `RunTask(Request[TaskAccepted])`."""

    @classmethod
    def decode_reply(cls, reply: bytes | msgspec.Raw) -> Reply_co:
        """Return the reply to such a request as it was before it was encoded.

        Raises:
            msgspec.MsgspecError: it is not such a message.
        """
        base: Any = cls.__orig_bases__[0]  # type: ignore[attr-defined]  # what the class says in brackets
        decoded: Reply_co = msgspec.msgpack.decode(reply, type=get_args(base)[0])
        return decoded


def in_words(error: msgspec.MsgspecError) -> str:
    """Return what is wrong with a message, for people; with a full stop."""
    found = re.fullmatch(r"Expected `(\w+)` of length (<=|>=) (\d+)(?: - at `\$\.?(.*)`)?", str(error))
    if found is None:
        return f"{error}."
    kind, bound, number, place = found.groups()
    what = "characters" if kind == "str" else "bytes" if kind == "bytes" else "entries"
    return f"{place or 'a value'} has {'more' if bound == '<=' else 'less'} than {int(number):,} {what}."
