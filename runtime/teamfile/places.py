"""Places: checks `runtime.places` of a team file, and what an agent says of them: `place` and `resources`.

`places_from` takes the same from a program, which gives it to `Runtime(places=…)`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from ..errors import TeamFileError
from ..team.places import PlaceConfig, Placement, RayPlace, Resources, SshPlace
from .limits import read_size
from .nodes import Findings, nodes_of_mapping
from .values import Keys, Value, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..team.config import AgentConfig, Settings
    from .values import Section

__all__ = [
    "KINDS",
    "NAME",
    "RAY",
    "RESOURCES",
    "SSH",
    "KnownPlaces",
    "place_fault",
    "places_from",
    "read_place",
    "read_places",
    "read_resources",
]

NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
"""A place's name, which stands in tables, in messages and on command lines."""

_ALL = frozenset({"type", "workdir", "folder", "placement", "max_tasks", "py_modules"})
_SSH = _ALL | {"hosts", "python", "options"}
_RAY = _ALL | {"address"}

SSH: Final = Keys(supported=_SSH, elsewhere=MappingProxyType(dict.fromkeys(_RAY - _SSH, "in a place of `type: ray`")))
RAY: Final = Keys(supported=_RAY, elsewhere=MappingProxyType(dict.fromkeys(_SSH - _RAY, "in a place of `type: ssh`")))
RESOURCES: Final = Keys(supported=frozenset({"cpu", "gpu", "memory", "custom"}))

KINDS: Final = MappingProxyType({"ssh": SSH, "ray": RAY})

_PLACEMENTS: Final = get_args(Placement)

_PORT: Final = re.compile(r"(?P<host>[^:/\[\]]+):(?P<port>\d+)")

_LEAST_MEMORY: Final = 1
"""Bytes that a task may ask for; Ray only books them."""

_RAYS_OWN: Final = MappingProxyType({"CPU": "cpu", "GPU": "gpu", "memory": "memory"})
"""Resources that Ray does not take under `custom`, and our keys for them."""


class KnownPlaces(msgspec.Struct, frozen=True):
    """The places of a file.

    Attributes:
        places: by their names, also those with mistakes of their own, which are None.
        is_open: whether there may be more, as there is a mistake where they are defined.
        default: where tasks run whose agents name no place; empty: on the host's own machine.
    """

    places: Mapping[str, PlaceConfig | None]
    is_open: bool = False
    default: str = ""

    @property
    def configs(self) -> tuple[PlaceConfig, ...]:
        """Those without mistakes, in the order of the file."""
        return tuple(place for place in self.places.values() if place is not None)


def places_from(given: object) -> tuple[PlaceConfig, ...]:
    """Return places that a program gives: a mapping as under `runtime.places`, or places themselves, as a list.

    Raises:
        TypeError: it is neither.
        TeamFileError: something in it is wrong; holds all problems.
    """
    if isinstance(given, list | tuple) and all(isinstance(place, SshPlace | RayPlace) for place in given):
        named = [(place.name, _as_in_a_file(place)) for place in given]
        given = dict(named)
        if len(given) < len(named):
            raise TypeError("Two of the places have the same name. Give each a name of its own.")
    if not isinstance(given, dict):
        raise TypeError(
            f"places is {type(given).__name__}; it must be a mapping as under `runtime.places` of a team file, such as "
            '{"pair": {"type": "ssh", "hosts": ["box1", "box2"]}}, or a list of SshPlace and RayPlace.'
        )
    findings = Findings("<places>")
    places = _read(Value(nodes_of_mapping(given, findings), "places", findings))
    if findings.problems:
        raise TeamFileError(findings.problems)
    return KnownPlaces(places).configs


def read_places(top: Section, runtime: Section | None, given: Iterable[PlaceConfig] | None = None) -> KnownPlaces:
    """Read `runtime.places`, and `runtime.place`.

    Args:
        top: the top of the file.
        runtime: its `runtime`; None: there is none, or it is wrong.
        given: places that a program gives in place of the file's; None: it gives none.
    """
    value = runtime.get("places") if runtime is not None else None
    if value is not None:
        known = KnownPlaces(_read(value), is_open=not isinstance(value.node.value, dict))
    else:
        known = KnownPlaces({}, is_open=top.means("runtime") if runtime is None else runtime.means("places"))
    if given is not None:
        known = KnownPlaces({place.name: place for place in given})
    default = read_place(runtime.get("place"), known) if runtime is not None else ""
    return msgspec.structs.replace(known, default=default)


def read_place(given: Value | None, known: KnownPlaces) -> str:
    """Read `place` of an agent, or of the settings; empty: there is none."""
    name = given.text() if given is not None else None
    if given is None or name is None:
        return ""
    places = known.places
    if name in places or known.is_open:
        return name
    meant = given.nearest(name, places)
    if meant is not None:
        remedy = f"Did you mean `{meant}`?"
    elif places:
        remedy = f"Known are: {listed(places)}. Without the key it runs on the host's own machine."
    else:
        remedy = "Define it under `runtime.places`, or leave the key out: then it runs on the host's own machine."
    given.report(f"There is no place {quoted(name)}.", remedy)
    return name


def read_resources(given: Value | None, place: str, known: KnownPlaces) -> Resources | None:
    """Read `resources` of an agent; `place` is where its tasks run; empty: where the settings say."""
    section = given.section(RESOURCES) if given is not None else None
    if given is None or section is None:
        return None
    place = place or known.default
    if (not place and not known.is_open) or isinstance(known.places.get(place), SshPlace):
        where = f"place {place} is reached by ssh" if place else "this agent runs on the host's own machine"
        given.report(
            f"`resources` are booked with Ray, and {where}: nobody would keep them.",
            "Give the agent a `place` of `type: ray`, or use `limits`.",
        )
    memory = section.get("memory")
    return Resources(
        cpu=_amount(section, "cpu"),
        gpu=_gpus(section.get("gpu")),
        memory=read_size(memory, least=_LEAST_MEMORY) if memory is not None else None,
        custom=_custom(section.get("custom")),
    )


def place_fault(settings: Settings, agents: Iterable[AgentConfig]) -> str:
    """Return what is wrong with where a program has tasks run, as a sentence; empty if nothing."""
    places = {config.name: config for config in settings.places}
    known = f"Places: {listed(places)}." if places else "It has none: give it some as `places`."
    if settings.place and settings.place not in places:
        return f"The setting place is {quoted(settings.place)}, and this runtime has no such place. {known}"
    for agent in agents:
        if agent.place and agent.place not in places:
            return f"Agent {agent.name!r} runs at place {quoted(agent.place)}, and this runtime has no such. {known}"
        if agent.resources is not None and not isinstance(places.get(agent.place or settings.place), RayPlace):
            return f"Agent {agent.name!r} has `resources`, and runs at no place of `type: ray`, which alone has those."
    return ""


def _as_in_a_file(place: PlaceConfig) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(place)
    return {key: value for key, value in data.items() if key != "name" and value is not None and value != ""}


def _read(given: Value) -> dict[str, PlaceConfig | None]:
    return {name: _place(name, value) for name, value in (given.entries() or {}).items()}


def _place(name: str, value: Value) -> PlaceConfig | None:
    if not re.fullmatch(NAME, name):
        value.report(
            f"{quoted(name)} cannot be the name of a place.",
            "Use letters, digits, `_`, `.` and `-`, 64 at most, and a letter, a digit or `_` first.",
        )
    entries = value.entries()
    if entries is None:
        return None
    kind = entries.get("type")
    if kind is None or not kind.given:
        value.report("This place has no `type`.", f"Give it one: {listed(KINDS)}.")
        return None
    word = kind.text()
    if word is None:
        return None
    if word not in KINDS:
        kind.unknown("type of place", word, KINDS)
        return None
    section = value.section(KINDS[word])
    if section is None:
        return None
    return _ssh(name, value, section) if word == "ssh" else _ray(name, section)


def _ssh(name: str, value: Value, section: Section) -> SshPlace:
    hosts, options, python = section.get("hosts"), section.get("options"), section.get("python")
    if hosts is None and not section.means("hosts"):
        value.report("This place has no `hosts`.", "List its machines, as ssh takes them: [box1, alice@box2].")
    return SshPlace(
        name=name,
        hosts=_hosts(hosts) if hosts is not None else (),
        python=_python(python) if python is not None else "python3",
        options=tuple(text for _, text in options.texts() or ()) if options is not None else (),
        workdir=_folder(section.get("workdir"), "/"),
        folder=_folder(section.get("folder"), "/", "~"),
        placement=_placement(section.get("placement")),
        max_tasks=_bound(section.get("max_tasks")),
        py_modules=_modules(section.get("py_modules")),
    )


def _ray(name: str, section: Section) -> RayPlace:
    address = section.get("address")
    return RayPlace(
        name=name,
        address=(_address(address) if address is not None else None) or "auto",
        workdir=_folder(section.get("workdir"), "/"),
        folder=_folder(section.get("folder"), "/", "~"),
        placement=_placement(section.get("placement")),
        max_tasks=_bound(section.get("max_tasks")),
        py_modules=_modules(section.get("py_modules")),
    )


def _hosts(given: Value) -> tuple[str, ...]:
    hosts: dict[str, None] = {}
    texts = given.texts()
    if texts == [] and given.node.value == ():
        given.report("There are no hosts here.", "Give at least one.")
    for item, host in texts or ():
        if host.startswith("-"):
            item.report(f"{quoted(host)} would be an option of ssh.", "Name a machine; options belong under `options`.")
        elif not host.isprintable() or " " in host:
            item.report(f"{quoted(host)} is not the name of a machine.", "Write it as ssh takes it: box1, alice@box2.")
        elif (found := _PORT.fullmatch(host)) is not None:
            item.report(
                f"ssh takes no port behind the name of a machine: {quoted(host)}.",
                f"Write ssh://{found['host']}:{found['port']}.",
            )
        elif host in hosts:
            item.report(f"{quoted(host)} is listed twice.", "Keep it once: one node runs as many tasks as you want.")
        hosts[host] = None
    return tuple(hosts)


def _python(given: Value) -> str:
    text = given.text()
    if text is not None and (text.startswith("-") or not text.isprintable()):
        given.report(f"{quoted(text)} is not an interpreter.", "Give its path, such as /srv/venv/bin/python.")
    return text or "python3"


def _address(given: Value) -> str:
    text = given.text() or "auto"
    if text.lower().startswith("ray://"):
        given.report(
            "A cluster cannot be used through Ray Client (`ray://`), which has no way to its nodes but Ray's own.",
            "Run this program on the cluster with `ray job submit`, or have this machine join it with "
            "`ray start --address=HEAD:6379 --num-cpus=0`, and leave `address` out.",
        )
    elif text == "local":
        given.report("`local` would start a cluster, which this program never does.", "Start it with `ray start`.")
    elif text != "auto" and (not text.isprintable() or re.fullmatch(r"[^\s/]+:\d+", text) is None):
        given.report(f"{quoted(text)} is not the address of a Ray cluster.", "Write `auto`, or the head as HOST:6379.")
    return text


def _folder(given: Value | None, *beginnings: str) -> str:
    text = given.file_name() if given is not None else None
    if given is not None and text is not None and not text.startswith(beginnings):
        how = " or with `~`, the home of its user" if "~" in beginnings else ""
        given.report(
            f"{quoted(text)} begins nowhere: it is a folder of another machine.", f"Begin its path with `/`{how}."
        )
    return text or ""


def _modules(given: Value | None) -> tuple[str, ...]:
    """Read `py_modules`; return whole paths. What is relative begins where the team file is, or else here."""
    paths: dict[str, None] = {}
    for item in (given.items() if given is not None else None) or ():
        name = item.file_name()
        if name is None:
            continue
        source = item.findings.source
        beside = Path(source).parent if _is_file(source) else Path()
        path = os.path.abspath(beside / os.path.expanduser(name))  # noqa: PTH100, PTH111 - no error, whatever it is
        if not (_is_folder(path) or (path.endswith(".py") and _is_file(path))):
            item.report(
                f"There is no folder and no Python file {quoted(name)}.",
                "Name a package's folder, a folder with modules, or a file that ends in `.py`; a path begins where the "
                "team file is, or else in the working directory.",
            )
        paths[path] = None
    return tuple(paths)


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - however long it is


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - however long it is


def _bound(given: Value | None) -> int | None:
    return given.whole(least=1) if given is not None else None


def _placement(given: Value | None) -> Placement:
    word = given.text() if given is not None else None
    if given is not None and word is not None and word not in _PLACEMENTS:
        given.unknown("placement", word, _PLACEMENTS)
    return "pack" if word == "pack" else "spread"


def _amount(section: Section, key: str) -> float | None:
    given = section.get(key)
    return given.number(above=True) if given is not None else None


def _gpus(given: Value | None) -> float | None:
    gpus = given.number(above=True) if given is not None else None
    if given is not None and gpus is not None and gpus > 1 and gpus % 1:
        given.report(f"Ray gives a task a part of one GPU, or whole ones, and not {gpus:g}.", "Write a whole number.")
    return gpus


def _custom(given: Value | None) -> dict[str, float]:
    amounts: dict[str, Any] = {}
    for name, value in ((given.entries() if given is not None else None) or {}).items():
        if name in _RAYS_OWN:
            value.report(f"{quoted(name)} is no custom resource.", f"Write it beside `custom`, as `{_RAYS_OWN[name]}`.")
        amounts[name] = value.number(above=True)
    return {name: amount for name, amount in amounts.items() if amount is not None}
