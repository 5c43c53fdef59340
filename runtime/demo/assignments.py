"""Assignments: who does which part of the survey, and how the report calls that part."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["EXPECTED_OUTPUT", "Assignment", "assignment"]

EXPECTED_OUTPUT: Final = "One sentence with the main finding, then short tables, then what was left out."


@dataclass(frozen=True)
class Assignment:
    """A part of the survey: the title of its section, and what its agent is asked to do."""

    title: str
    task: str


_KNOWN: Final = MappingProxyType(
    {
        "sizes": Assignment(
            "What it consists of",
            "Survey the working directory: how many files, lines and bytes there are of each language, and which "
            "files are the longest.",
        ),
        "functions": Assignment(
            "The longest functions", "Find the longest functions of the source code in the working directory."
        ),
        "notes": Assignment(
            "Open notes", "Collect the notes (TODO, FIXME, XXX, HACK) in the comments of the working directory's files."
        ),
        "imports": Assignment(
            "Who imports whom",
            "Find out which source files in the working directory import which others, which are imported by the "
            "most, and which import each other in a circle.",
        ),
        "duplicates": Assignment(
            "Files with the same content", "Find the files in the working directory that have the same content."
        ),
    }
)


def assignment(agent: str) -> Assignment:
    """Return an agent's part; an agent that somebody has added to the team does what it is described to do."""
    return _KNOWN.get(agent) or Assignment(agent, "Do your part of a survey of the working directory.")
