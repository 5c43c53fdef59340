"""What is done once a module of `multiprocessing` is imported, in processes that have not imported it yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

PATIENCE = 60.0

LISTENS = """
import importlib, importlib.util, sys
from subactors.actors.late_import import when_imported

NAME = "multiprocessing.resource_tracker"
heard = []
when_imported("resource_tracker", lambda module: heard.append((module.__name__, hasattr(module, "getfd"))))
assert NAME not in sys.modules
"""

HEARS = """
importlib.import_module(NAME)
assert heard == [(NAME, True)], heard
importlib.reload(sys.modules[NAME])
assert heard == [(NAME, True)], heard
when_imported("resource_tracker", lambda module: heard.append("at once"))
assert heard[1:] == ["at once"], heard
"""

BEFORE = {
    "it is imported": "",
    "it is looked for before": "assert importlib.util.find_spec(NAME)\nassert importlib.util.find_spec(NAME)",
    "its import fails before": """
sys.modules["multiprocessing.spawn"] = None
try:
    importlib.import_module(NAME)
except ImportError:
    del sys.modules["multiprocessing.spawn"]
else:
    raise AssertionError
""",
    "its package is imported before": "import multiprocessing",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_the_first_import_is_heard_of_once(before: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTENS + before + HEARS], capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert (done.returncode, done.stderr) == (0, "")
