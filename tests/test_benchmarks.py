"""The benchmarks run, with the smallest numbers, for the contenders that need nothing more than the product does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)  # some ten programs that import a model client, one after the other

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("benchmarks") / "results.json"
    only = ["start", "stream"]
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--peers", "floor,subactors,forkserver,asyncio"]
    command += [word for name in only for word in ("--only", name)]
    done = subprocess.run([*command, "--json", str(path)], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_each_contender_is_measured(results: dict[str, Any]) -> None:
    starts = {each["contender"] for each in results["measurements"] if each["metric"] == "start"}

    assert starts == {"floor", "subactors", "forkserver", "asyncio"}


def test_a_measurement_has_median_spread_and_count(results: dict[str, Any]) -> None:
    start = next(each for each in results["measurements"] if each["metric"] == "start")

    assert start["count"] == len(start["rounds"]) * 2
    assert 0 < start["least"] <= start["p50"] <= start["p95"] <= start["most"]
    assert start["unit"] == "s"


def test_what_a_contender_does_not_offer_is_skipped_with_a_word(results: dict[str, Any]) -> None:
    assert {"scenario": "stream", "contender": "asyncio", "why": "output crosses no boundary"} in results["skipped"]


def test_results_name_machine_versions_and_command(results: dict[str, Any]) -> None:
    assert results["machine"]["cores"] > 0
    assert results["versions"]["python"] == sys.version.split()[0]
    assert results["command"].startswith("python -m benchmarks")
