"""For tests of the command line: commands that are run to their end are forked from a process that has imported it."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _commands_are_warm(warm_commands: None) -> None:
    """Ask for warm commands once, for all files here."""
