"""Place schema: JSON schemas of `runtime.places`, and of `place` and `resources` of an agent; see `json_schema`."""

from __future__ import annotations

from typing import Final, get_args

from ..team.places import Placement, RayPlace, Resources, SshPlace
from . import places
from .schema_values import PATH, PATHS, TEXT, TEXTS, Schema, listing, number, one_of, section, size, told, when, whole

__all__ = ["PLACE", "resources", "team_places"]

PLACE: Final[Schema] = {"type": "string", "pattern": f"^{places.NAME}$"}


def resources() -> Schema:
    """Return the schema of an agent's `resources`."""
    amount = number(above=True)
    names = {"not": {"enum": ["CPU", "GPU", "memory"]}, "pattern": r"\S"}
    custom = {"type": "object", "propertyNames": names, "additionalProperties": amount}
    values = {
        "cpu": amount,
        "gpu": {**amount, "anyOf": [{"maximum": 1}, {"multipleOf": 1}]},
        "memory": size(1),
        "custom": custom,
    }
    return section(places.RESOURCES, told(values, Resources))


def team_places() -> Schema:
    """Return the schema of `runtime.places`: by the type of each, which keys it may have."""
    kinds = {"ssh": _ssh_place(), "ray": _ray_place()}
    rules = [when({"required": ["type"], "properties": {"type": {"const": kind}}}, kinds[kind]) for kind in kinds]
    place = {"type": "object", "required": ["type"], "properties": {"type": one_of(kinds)}, "allOf": rules}
    return {"type": "object", "propertyNames": {"pattern": f"^{places.NAME}$"}, "additionalProperties": place}


def _ssh_place() -> Schema:
    host = {"type": "string", "pattern": r"^(?!-)(?![^:/\[\]]+:\d+$)\S+$"}
    values: dict[str, Schema] = {
        "type": {"const": "ssh"},
        "hosts": {**listing(host, least=1), "uniqueItems": True},
        "python": {**TEXT, "pattern": r"^(?!-).*\S"},
        "options": TEXTS,
        "workdir": {**PATH, "pattern": "^/"},
        "folder": {**PATH, "pattern": "^[/~]"},
        "placement": one_of(get_args(Placement)),
        "max_tasks": whole(1),
        "py_modules": PATHS,
    }
    return section(places.SSH, told(values, SshPlace), required=["type", "hosts"])


def _ray_place() -> Schema:
    remedy = "Ray Client (`ray://`) cannot be used: run the program on the cluster, with `ray job submit`."
    address = {"type": "string", "pattern": r"^(auto|[^\s/]+:\d+)$", "patternErrorMessage": remedy}
    values: dict[str, Schema] = {
        "type": {"const": "ray"},
        "address": address,
        "workdir": {**PATH, "pattern": "^/"},
        "folder": {**PATH, "pattern": "^[/~]"},
        "placement": one_of(get_args(Placement)),
        "max_tasks": whole(1),
        "py_modules": PATHS,
    }
    return section(places.RAY, told(values, RayPlace), required=["type"])
