"""Lent zygotes: which runtimes of tests have the zygote that their file shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from subactors.runtime import Runtime
from teams import PATIENCE

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


def zygote(state: Path, *, standby: int = 0) -> int:
    """Return the process that has made the process of a task of a new runtime."""
    with Runtime(state_dir=state, standby=standby) as runtime:
        return int(runtime.submit(os.getppid).result(PATIENCE))


def test_a_runtime_shares_a_zygote_unless_processes_are_to_stand_by(tmp_path: Path) -> None:
    shared, standing_by = zygote(tmp_path), zygote(tmp_path, standby=1)
    assert zygote(tmp_path) == shared
    assert standing_by != shared


@pytest.mark.usefixtures("own_zygote")
def test_a_runtime_has_a_zygote_of_its_own_in_a_test_that_asks_for_that(tmp_path: Path) -> None:
    assert zygote(tmp_path) != zygote(tmp_path)
