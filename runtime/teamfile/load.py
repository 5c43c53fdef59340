"""Loading: the ways to a team, from a file, from a mapping, and with another model.

It reads the file and turns whatever is wrong with its content into problems, all of them at once; bad content raises no
other exception. It must never import or run the author's code.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import select
import stat
import time
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import TeamFileError
from ..team.key_variables import keys_of_agents
from ..text import one_line
from .check import check
from .models import Models
from .nodes import Findings, Node, nodes_of_mapping
from .values import Value, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..errors import Problem
    from ..team.config import Team
    from ..team.places import PlaceConfig

__all__ = ["check_team", "load_team", "override_model", "team_from_mapping"]

logger = logging.getLogger("subactors.runtime")

_LARGEST_FILE = 4_000_000
"""Bytes; far more than any team needs, and little enough that a wrong file is refused at once."""

_PATIENCE = 5.0
"""Seconds that a pipe may say nothing."""

_MOMENT = 0.5
"""The same for one that nobody has open to write to."""

_LONGEST = 20.0
"""Seconds for all that comes through a pipe."""

_TOP = Node(None, 1, 0)
_NO_PLACE = Node(None, 0, 0)


def load_team(path: str | os.PathLike[str], places: Iterable[PlaceConfig] | None = None) -> Team:
    """Read and check a team file.

    Args:
        path: the file.
        places: those that a program gives in place of the file's; None: it gives none.

    Raises:
        TeamFileError: the file cannot be read, or something in it is wrong; holds all problems, in the file's order.
    """
    team, problems = check_team(path, places)
    if team is None:
        raise TeamFileError(problems)
    return team


def check_team(
    path: str | os.PathLike[str], places: Iterable[PlaceConfig] | None = None
) -> tuple[Team | None, tuple[Problem, ...]]:
    """As `load_team`; returns the team, or None and what is wrong, in the file's order."""
    # A file's name may be any bytes; what is printed and stored must be text.
    findings = Findings(os.fsencode(path).decode(errors="replace"))
    text = _read(path, findings)
    node = _parse(text, findings) if text is not None else None
    team = check(node, findings, places) if node is not None else None
    if team is not None:
        team = msgspec.structs.replace(team, folders=_folders(os.fsdecode(path)))
    logger.debug("The team file %s is read. Problems: %d.", findings.source, len(findings.problems))
    return team, findings.problems


def team_from_mapping(
    mapping: Mapping[str, Any], source: str = "<mapping>", places: Iterable[PlaceConfig] | None = None
) -> Team:
    """Check a team given as Python data, with the keys of a team file.

    Args:
        mapping: of text, numbers, truths, None, lists and mappings; it is copied.
        source: what messages call it; their line is 0.
        places: see `load_team`.

    Raises:
        TeamFileError: something in it is wrong; holds all problems, in the mapping's order.
    """
    findings = Findings(source)
    try:
        node = nodes_of_mapping(mapping, findings)
    except RecursionError:
        _report_depth(findings)
        raise TeamFileError(findings.problems) from None
    team = check(node, findings, places)
    if team is None:
        raise TeamFileError(findings.problems)
    return team


def override_model(team: Team, reference: str) -> Team:
    """Return the team with one model in place of those of all its agents; agents without a model stay as they are.

    Args:
        team: a checked team.
        reference: `provider/model` or `python/package.module:function`; names from `models` are not known any more.

    Raises:
        TeamFileError: the reference is wrong.
    """
    findings = Findings(f"model {one_line(reference, 60)!r}")
    # The names under `models` are not part of a checked team, hence open: no complaint about a name missing there.
    model = Models(models_open=True).find(Value(Node(reference, 0, 0), "", findings))
    if model is None:
        if not findings.problems:
            message = f"{quoted(reference)} is not a reference to a model."
            findings.add(_NO_PLACE, "", message, "Write it as `provider/model`, such as `openai/gpt-4o`.")
        raise TeamFileError(findings.problems)
    agents = {
        name: agent if agent.model is None else msgspec.structs.replace(agent, model=model)
        for name, agent in team.agents.items()
    }
    keys = sorted({*team.key_variables, *keys_of_agents(team.agents.values())})
    return msgspec.structs.replace(team, agents=agents, key_variables=tuple(keys))


def _folders(path: str) -> tuple[str, ...]:
    """Return where the file lies, and where the file lies that it is a link to; nothing for a pipe."""
    if not os.path.isfile(path):  # noqa: PTH113 - whatever its name is
        return ()
    places = (os.path.abspath(path), os.path.realpath(path))  # noqa: PTH100 - whatever its name is
    return tuple(dict.fromkeys(map(os.path.dirname, places)))


def _read(path: str | os.PathLike[str], findings: Findings) -> str | None:
    try:
        content = _content(path)
    except (OSError, ValueError) as error:
        # ValueError: a null character in the path.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        findings.add(_NO_PLACE, "", f"The file cannot be read: {reason}.", "Give the path of a team file.")
        return None
    if len(content) > _LARGEST_FILE:
        findings.add(
            _NO_PLACE, "", f"The file is larger than {_LARGEST_FILE:,} bytes.", "Give the path of a team file."
        )
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        place = Node(None, line, 0)
        findings.add(place, "", f"Byte 0x{error.object[error.start]:02X} is not UTF-8.", "Save the file as UTF-8 text.")
        return None


def _content(path: str | os.PathLike[str]) -> bytes:
    """Return the beginning of a file, or of what comes through a pipe; raises OSError or ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(kind):
        os.close(descriptor)  # `fdopen` would fail, and leave it open
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if stat.S_ISREG(kind):
            return file.read(_LARGEST_FILE + 1)
        return _through_a_pipe(file)


def _through_a_pipe(file: io.FileIO) -> bytes:
    piece = file.read(65536)
    # None: somebody has it open to write to. Else it is a FIFO that nobody may ever write to.
    patience = _MOMENT if piece == b"" else _PATIENCE
    content = bytearray(piece or b"")
    end = time.monotonic() + _LONGEST
    while len(content) <= _LARGEST_FILE:
        if not select.select([file], [], [], patience)[0]:
            raise TimeoutError(errno.ETIMEDOUT, f"nothing came from it for {patience:g} s")
        if time.monotonic() > end:
            raise TimeoutError(errno.ETIMEDOUT, f"it did not come to its end within {_LONGEST:g} s")
        piece = file.read(65536)
        if piece == b"":
            break
        content += piece or b""
    return bytes(content)


def _parse(text: str, findings: Findings) -> Node | None:
    from .yaml import nodes_of_yaml  # noqa: PLC0415 - a team from a mapping needs no YAML, whose import is slow

    try:
        return nodes_of_yaml(text, findings)
    except RecursionError:
        _report_depth(findings)
        return None


def _report_depth(findings: Findings) -> None:
    findings.add(_TOP, "", "The values are nested too deeply.", "A team file needs no more than six levels.")
