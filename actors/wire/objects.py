"""Objects on their way from the host to a child: by name what both can import, all else by value.

Nothing here is for the other way: what a child sends is data.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, Final

from .importable import is_importable

__all__ = ["encode_by_name", "encode_by_value", "encode_object"]

_UNNAMED: Final = (pickle.PicklingError, AttributeError, TypeError)
"""What is raised for an object that has no name of its own, such as a lambda."""


def encode_object(value: object) -> bytes:
    """Pickle for the trusted direction, host to child; what a child cannot import by its name travels by value."""
    return encode_by_name(value) or encode_by_value(value)[0]


def encode_by_name(value: object) -> bytes | None:
    """Pickle an object; None if something in it cannot be found by its name in another process.

    Raises:
        Exception: whatever the object raises when it is pickled.
    """
    buffer = io.BytesIO()
    try:
        _ByName(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    except (_NotByName, *_UNNAMED):
        return None
    return buffer.getvalue()


def encode_by_value(value: object) -> tuple[bytes, set[str]]:
    """Pickle an object with the code that another process would not find; return the names of the files of it, too.

    Raises:
        Exception: it cannot be pickled.
    """
    from .by_value import encode  # noqa: PLC0415 - most hosts never need it

    return encode(value)


class _NotByName(Exception):  # noqa: N818 - never leaves this module
    """Something has to travel by value."""


class _ByName(pickle.Pickler):
    """Pickles what another process finds by its name, and gives up at the first thing that it would not find.

    The child has a `__main__` of its own: looking anything of the host's up in it would fail there.
    """

    def reducer_override(self, value: Any) -> Any:
        """See `pickle`: is called for all but what is plain."""
        module = getattr(value, "__module__", None)  # of an object, that of its class
        if isinstance(module, str) and module != "builtins" and not is_importable(module):
            raise _NotByName
        return NotImplemented
