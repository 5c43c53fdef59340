"""A program with classes of its own, which is run as a script: prints what becomes of them, here and in tasks."""

from __future__ import annotations

import copy
import dataclasses
import enum
import inspect
import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pydantic
import shared_singletons
from pydantic_core import PydanticUndefined
from subactors.runtime import AgentConfig, NotOfTypeError, Runtime, Team
from subactors.runtime.toolsets.python.signature import Signature

__all__: list[str] = []

PATIENCE = 30.0


class _Level(enum.Enum):
    LOW = "low"


@dataclass
class _Part:
    size: int
    _: dataclasses.KW_ONLY
    rows: list[int] = field(default_factory=list)
    level: _Level = _Level.LOW


class _Model(pydantic.BaseModel):
    part: _Part
    number: int
    rows: list[int] = pydantic.Field(default_factory=list)


class _Struct(msgspec.Struct):
    size: int
    note: str | msgspec.UnsetType = msgspec.UNSET


def _weigh(_: Any, part: _Part) -> int:
    return part.size


def _check(_: Any, model: _Model, /) -> int:
    return model.number


def _measure(_: Any, struct: _Struct) -> bool:
    return struct.note is msgspec.UNSET


def _team() -> Team:
    functions: dict[str, Any] = {"weigh": _weigh, "check": _check, "measure": _measure}
    agents = {name: AgentConfig(name=name, entrypoint=function) for name, function in functions.items()}
    return Team(source="<python>", agents=agents, root="weigh")


def _parts(kind: type) -> dict[str, object]:
    """Return what is in a class, without what decoders note there."""
    return {name: part for name, part in vars(kind).items() if name != "__msgspec_cache__"}


GOOD: dict[str, Any] = {"weigh": {"size": 1}, "check": {"part": {"size": 1}, "number": 1}, "measure": {"size": 1}}
KINDS: dict[str, type] = {"weigh": _Part, "check": _Model, "measure": _Struct}


def _with_data(team: Team) -> dict[str, Any]:
    """Give agents good data and bad, and return what they say, and what has changed in the classes of this program."""
    before = {agent: _parts(kind) for agent, kind in KINDS.items()}
    said: dict[str, Any] = {}
    with Runtime(team, standby=0) as runtime:
        for agent, data in GOOD.items():
            said[agent] = [runtime.run(agent, "go", data=data).result(PATIENCE)]
            try:
                runtime.run(agent, "go", data={})
            except NotOfTypeError as error:
                said[agent].append(str(error))
    changed = [
        f"{agent}.{name}"
        for agent, kind in KINDS.items()
        for name, part in _parts(kind).items()
        if before[agent].get(name) is not part
    ]
    return {**said, "changed": changed}


def _whole() -> dict[str, Any]:
    """Use classes that have come by value as one uses those of a module."""

    @dataclass
    class Larger(_Part):
        more: int = 1

    class Deeper(_Model):
        depth: int = 2

    def tool(part: _Part, level: _Level = _Level.LOW) -> None:
        """Use a part."""

    marks = {found.name: found.default is dataclasses.MISSING for found in dataclasses.fields(_Part)}
    return {
        "subclass": Larger(1, 5, rows=[2]),
        "adapter": pydantic.TypeAdapter(_Part).validate_python({"size": 3}),
        "model": Deeper(part=_Part(1), number=2),
        "required": _Model.model_json_schema()["required"],
        "undefined": _Model.model_fields["number"].default is PydanticUndefined,
        "struct": [msgspec.convert({"size": 1}, _Struct), _Struct(1).note is msgspec.UNSET],
        "no default": msgspec.structs.fields(_Struct)[0].default is msgspec.NODEFAULT,
        "annotation": _Part.__annotations__["_"],
        "marks": marks,
        "signature": str(inspect.signature(_Part)),
        "tool": Signature("tool", tool, {}).schema["required"],
        "tool's part": Signature("tool", tool, {}).schema["$defs"]["_Part"]["required"],
    }


def _own() -> list[Any]:
    """Return singletons, those of the process that calls this."""
    return [
        dataclasses.MISSING,
        dataclasses.KW_ONLY,
        msgspec.UNSET,
        msgspec.NODEFAULT,
        PydanticUndefined,
        inspect.Parameter.empty,
        _Level.LOW,
        NotImplemented,
        shared_singletons.ABSENT,
        shared_singletons.PLAIN,
    ]


def _strangers(given: list[Any]) -> list[str]:
    """Return which of some singletons are others than those of this process."""
    return [repr(one) for one, mine in zip(given, _own(), strict=True) if one is not mine]


def _singletons() -> list[Any]:
    with Runtime(standby=0) as runtime:
        calls = [
            runtime.submit(_strangers, _own()),
            runtime.submit(shared_singletons.is_one, dataclasses.MISSING),
            runtime.submit(shared_singletons.is_one, shared_singletons.PLAIN),
            runtime.submit(lambda one=shared_singletons.PLAIN: shared_singletons.is_one(one)),
        ]
        return [call.result(PATIENCE) for call in calls]


def _run_whole() -> Any:
    with Runtime(standby=0) as runtime:
        return runtime.submit(_whole).result(PATIENCE)


if __name__ == "__main__":
    team = _team()
    print(
        json.dumps(
            {
                "given": _with_data(team),
                "copied": _with_data(copy.deepcopy(team)),
                "whole": _run_whole(),
                "singletons": _singletons(),
            }
        )
    )
