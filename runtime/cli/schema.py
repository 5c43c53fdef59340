"""Schema: `subactors schema`, what editors are told of team files."""

from __future__ import annotations

import json

from ..teamfile.json_schema import team_file_schema
from ..terminal.streams import err, out
from .manner import manner

__all__ = ["print_schema"]

_FILE = "team.schema.json"


def print_schema() -> int:
    """Print the JSON schema on standard output, and on standard error what to do with it; return the exit status."""
    out.line(json.dumps(team_file_schema(), indent=2))
    if not manner.quiet:
        err.line(
            f"Keep it in a file: subactors schema > {_FILE}\n"
            "Begin the team files beside it with this line, and editors with a YAML language server check them:\n"
            f"# yaml-language-server: $schema={_FILE}"
        )
    return 0
