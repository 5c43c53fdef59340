"""Objects for the trusted direction, from host to child. It must never be used on what a child sends."""

from __future__ import annotations

import pickle

__all__ = ["encode_object"]


def encode_object(value: object) -> bytes:
    """Pickle for the trusted direction, host to child; what only the host's `__main__` knows travels by value."""
    try:
        data = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        data = b""
    # The child has a `__main__` of its own: looking anything up in it would fail there.
    if data and b"__main__" not in data:
        return data
    import cloudpickle  # noqa: PLC0415 - most hosts never need it

    return bytes(cloudpickle.dumps(value))
