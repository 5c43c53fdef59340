"""Resolving `package.module:function`."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest
from subactors.runtime.errors import ImportTargetError, SubactorsError
from subactors.runtime.team.references import is_target, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on `sys.path`; modules imported from it are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    importlib.invalidate_caches()
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("sample"):
            del sys.modules[name]


def message(target: str) -> str:
    with pytest.raises(ImportTargetError) as caught:
        resolve(target, what="The entrypoint of agent 'writer'")
    assert str(caught.value).startswith("The entrypoint of agent 'writer' is ")
    return str(caught.value)


def test_a_function_of_a_module_in_a_package_is_found(folder: Path) -> None:
    (folder / "sample_package").mkdir()
    (folder / "sample_package" / "__init__.py").write_text("")
    (folder / "sample_package" / "agents.py").write_text("def write(task):\n    return 'written'\n")
    assert resolve("sample_package.agents:write", what="A test")(None) == "written"


def test_a_function_inside_a_class_is_found(folder: Path) -> None:
    (folder / "sample_class.py").write_text("class Writer:\n    @staticmethod\n    def write():\n        return 1\n")
    assert resolve("sample_class:Writer.write", what="A test")() == 1


@pytest.mark.parametrize(
    "target", ["", "module", "module:", ":function", "a b:c", "a..b:c", "a:b:c", "a/b:c", "import:x"]
)
def test_what_is_not_of_the_form_is_refused(target: str) -> None:
    assert not is_target(target)
    assert "`package.module:function`" in message(target)


def test_a_missing_module_is_named() -> None:
    assert "there is no module 'sample_nowhere'" in message("sample_nowhere.agents:write")


def test_a_missing_module_of_an_existing_package_is_named(folder: Path) -> None:
    (folder / "sample_partial").mkdir()
    (folder / "sample_partial" / "__init__.py").write_text("")
    assert "there is no module 'sample_partial.agents'" in message("sample_partial.agents:write")


def test_a_module_that_imports_a_missing_one_is_told_apart_from_a_missing_module(folder: Path) -> None:
    (folder / "sample_importer.py").write_text("import sample_missing_dependency\n")
    text = message("sample_importer:write")
    assert "importing module 'sample_importer' failed" in text
    assert "sample_missing_dependency" in text


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("def write(:", "SyntaxError"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_fails_while_it_is_imported_is_an_error_with_its_reason(
    folder: Path, code: str, reason: str
) -> None:
    (folder / "sample_failing.py").write_text(code)
    text = message("sample_failing:write")
    assert "importing module 'sample_failing' failed" in text
    assert reason in text


def test_a_missing_attribute_is_answered_with_the_one_that_was_meant(folder: Path) -> None:
    (folder / "sample_attribute.py").write_text("def write_report():\n    pass\n")
    text = message("sample_attribute:write_repot")
    assert "has no attribute 'write_repot'" in text
    assert "Did you mean 'write_report'?" in text


def test_what_cannot_be_called_is_refused(folder: Path) -> None:
    (folder / "sample_value.py").write_text("write = 'text'\n")
    assert "cannot be called: it is of type str" in message("sample_value:write")


def test_the_error_is_one_of_the_product() -> None:
    assert issubclass(ImportTargetError, SubactorsError)
