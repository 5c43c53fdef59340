"""The demonstration: a bundled team that surveys a folder of source code, without keys or a server.

The team is an ordinary team file, `team.yaml`, whose models are Python functions of this package. With a real model in
their place, the same agents do the same work in their own way. Nothing here runs anything: that is the command line's
part. Importing this module is cheap.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..team.config import Team

__all__ = ["PROMPT", "load_demo_team", "team_text"]

PROMPT: Final = (
    "Survey the source code in the working directory and write a report for somebody who is new to it: what it "
    "consists of, which functions are the longest, which notes (TODO, FIXME and the like) are open, and "
    "which packages it is built on. Have every agent of your team do its part, all of them at the same time in the "
    "background."
)
"""What the person asks the coordinator."""


def team_text(*, crash: bool = False) -> str:
    """Return the team file.

    Args:
        crash: whether the agent that crashes is in the team; in the file its line is commented out.
    """
    text = Path(__file__).with_name("team.yaml").read_text(encoding="utf-8")
    return text.replace("# - duplicates", "- duplicates", 1) if crash else text


def load_demo_team(*, crash: bool = False, model: str | None = None) -> Team:
    """Return the checked team.

    Args:
        crash: see `team_text`.
        model: a reference such as `openai/gpt-4o`, in place of the Python functions. The agent that crashes has no
            model and stays as it is.

    Raises:
        TeamFileError: `model` is not a reference to a model.
    """
    import yaml  # noqa: PLC0415 - needed only when the demonstration runs

    from ..teamfile.load import override_model, team_from_mapping  # noqa: PLC0415 - as above

    team = team_from_mapping(yaml.safe_load(team_text(crash=crash)), source="the demonstration's team")
    return team if model is None else override_model(team, model)
