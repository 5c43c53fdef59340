"""A module whose import takes long, and says when it has begun."""

from __future__ import annotations

import time

from subactors.runtime import EntrypointTask

print("importing")
try:
    time.sleep(600)
finally:
    print("import broken off")


def function(task: EntrypointTask) -> None:
    """Never called."""
    raise AssertionError(task)
