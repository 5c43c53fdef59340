"""Which folder is that of the program, whose modules nodes are sent."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest
from subactors.runtime.nodes import finding
from subactors.runtime.nodes.program import program_folder


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program's main module, which is no file."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def test_a_program_that_is_no_file_has_none(main: ModuleType, tmp_path: Path) -> None:
    assert program_folder() == ""
    main.__file__ = str(tmp_path / "program.pyz" / "__main__.py")
    assert program_folder() == ""


def test_a_script_has_the_folder_that_it_is_in_and_a_package_the_one_that_the_package_is_in(
    main: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "package" / "inner").mkdir(parents=True)
    main.__file__ = str(tmp_path / "program.py")
    assert program_folder() == str(tmp_path)
    (tmp_path / "package" / "inner" / "link.py").symlink_to(tmp_path / "program.py")
    main.__file__ = str(tmp_path / "package" / "inner" / "link.py")
    assert program_folder() == str(tmp_path)
    main.__file__, main.__package__ = str(tmp_path / "package" / "inner" / "__main__.py"), "package.inner"
    assert program_folder() == str(tmp_path)
    main.__package__ = "mapped.inner"
    assert program_folder() == ""


def test_what_is_installed_has_none(main: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "site-packages" / "tool").mkdir(parents=True)
    for folder in (
        Path(sys.executable).parent,
        Path(sysconfig.get_path("scripts")),
        Path(sysconfig.get_path("stdlib")) / "unittest",
        tmp_path / "site-packages" / "tool",
    ):
        main.__file__ = str(folder / "__main__.py")
        assert program_folder() == ""


def test_a_folder_that_is_the_team_s_and_the_program_s_is_sent_once(main: ModuleType, tmp_path: Path) -> None:
    main.__file__ = str(tmp_path / "program.py")

    assert finding._program_beside((str(tmp_path),)) == ""
    assert finding._program_beside(("/elsewhere",)) == str(tmp_path)
