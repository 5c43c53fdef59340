"""Structs: classes of `msgspec.Struct` by value, which `cloudpickle` would make again as classes without fields.

A struct's fields, and how it treats them, are fixed when it is made. What else is in it may refer to the class itself,
and so is put there afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any, Final

import msgspec

__all__ = ["is_struct_class", "reduce_struct"]

_OPTIONS: Final = (
    "array_like",
    "cache_hash",
    "dict",
    "eq",
    "forbid_unknown_fields",
    "frozen",
    "gc",
    "omit_defaults",
    "order",
    "repr_omit_defaults",
    "tag",
    "tag_field",
    "weakref",
)

_AT_ONCE: Final = ("__annotations__", "__doc__", "__module__", "__qualname__")
"""What a class is made with."""

_MADE_AGAIN: Final = frozenset(
    {"__dict__", "__match_args__", "__msgspec_cache__", "__post_init__", "__slots__", "__weakref__", *_AT_ONCE}
)
_POST_INIT: Final = "__post_init__"


def is_struct_class(value: object) -> bool:
    """Whether it is a class of structs."""
    return isinstance(value, type(msgspec.Struct))


def reduce_struct(kind: Any) -> tuple[Any, ...]:
    """Return how to make a class of structs again, as `__reduce__` does."""
    own = dict(vars(kind))
    named = own.get("__annotations__", {})
    config = {name: value for name in _OPTIONS if (value := getattr(kind.__struct_config__, name)) is not None}
    names = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    config["rename"] = {field: encoded for field, encoded in names if field != encoded} or None
    config["kw_only"] = any(field in named and field not in kind.__match_args__ for field in kind.__struct_fields__)
    rest = {
        name: value
        for name, value in own.items()
        if name not in _MADE_AGAIN and not name.startswith("__struct") and not isinstance(value, MemberDescriptorType)
    }
    made = (
        kind.__name__,
        own.get("__orig_bases__", kind.__bases__),
        {name: own[name] for name in _AT_ONCE if name in own},
        {name: default for name, default in _defaults(kind) if name in named},
        (config, _POST_INIT in own),
    )
    return _make, made, (rest, own.get(_POST_INIT)), None, None, _complete


def _defaults(kind: Any) -> list[tuple[str, tuple[bool, Any]]]:
    """Return the fields that have a default, with that: whether it is made anew each time, and it, or what makes it."""
    values = kind.__struct_defaults__
    fields = kind.__struct_fields__[len(kind.__struct_fields__) - len(values) :]
    given = [(field, value) for field, value in zip(fields, values, strict=True) if value is not msgspec.NODEFAULT]
    return [(field, (True, value.factory) if hasattr(value, "factory") else (False, value)) for field, value in given]


def _make(
    name: str,
    bases: tuple[Any, ...],
    namespace: dict[str, Any],
    defaults: dict[str, tuple[bool, Any]],
    options: tuple[dict[str, Any], bool],
) -> Any:
    """Make the class, with all that is fixed when it is made. Runs in the child."""
    config, has_post_init = options
    for field, (is_factory, value) in defaults.items():
        namespace[field] = msgspec.field(default_factory=value) if is_factory else msgspec.field(default=value)
    if has_post_init:
        namespace[_POST_INIT] = _post_init()
    resolved = tuple(getattr(base, "__origin__", base) for base in bases)
    if resolved != bases:
        namespace["__orig_bases__"] = bases
    meta: Any = type(msgspec.Struct)
    return meta(name, resolved, namespace, **config)


def _post_init() -> Callable[[Any], None]:
    def post_init(self: Any) -> None:
        post_init.inner(self)  # type: ignore[attr-defined]  # it is there once the class is complete

    return post_init


def _complete(kind: Any, state: tuple[dict[str, Any], Callable[[Any], None] | None]) -> None:
    """Put the rest into the class. Runs in the child."""
    rest, post_init = state
    for name, value in rest.items():
        setattr(kind, name, value)
    if post_init is not None:
        vars(kind)[_POST_INIT].inner = post_init
