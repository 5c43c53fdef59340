"""The modules of a team, packed for nodes: what goes along, and that a folder of any kind comes to an end in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from subactors.runtime import RunError
from subactors.runtime.nodes import code


def sent(folder: Path, *, program: bool = False) -> list[str]:
    """What is there on the node."""
    (packed,) = code.pack([], program=str(folder)) if program else code.pack([str(folder)])
    there = folder.parent / "there"
    code.unpack(packed, there)
    return sorted(str(path.relative_to(there)) for path in there.rglob("*") if path.is_file())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "work.py").write_text("x = 1\n")
    return folder


def write(path: Path, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_modules_and_small_files_go_along_and_what_is_no_code_does_not(folder: Path) -> None:
    for name in (".env", ".git/config", "venv/a.py", "node_modules/a.js", "build/a.py", "dist/a.py", "env/pyvenv.cfg"):
        write(folder / name)
    write(folder / "env" / "lib" / "a.py")
    write(folder / "parts" / "more.py")
    write(folder / "data.bin", "x" * 1_000_001)
    os.mkfifo(folder / "fifo")
    (folder / "again").symlink_to(folder)
    (folder / "loop").symlink_to("loop")
    (folder / "alias.py").symlink_to("work.py")

    assert sent(folder) == ["alias.py", "parts/more.py", "work.py"]


def test_the_same_files_make_the_same_archive(folder: Path) -> None:
    first = code.pack([str(folder)])
    (folder / "work.py").touch()

    assert code.pack([str(folder)]) == first


@pytest.mark.parametrize(
    ("bound", "most", "words"),
    [
        ("_MOST_ENTRIES", 10, "has more than 10 files and folders"),
        ("_MOST_READ", 50_000, "has more than 50 kB of files"),
        ("_MOST", 30_000, "has more than 30 kB of files, packed"),
        ("_PATIENCE", -1.0, "has more than could be looked at in"),
    ],
)
def test_a_folder_with_too_much_in_it_is_refused_in_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: float, words: str
) -> None:
    for number in range(20):
        (folder / f"{number}.bin").write_bytes(os.urandom(4000))
    monkeypatch.setattr(code, bound, most)

    with pytest.raises(RunError, match=words) as refused:
        code.pack([str(folder)])

    assert "in a folder with its modules alone." in str(refused.value)


def test_folders_may_have_together_what_one_may_have(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.bin").write_bytes(os.urandom(20_000))
    monkeypatch.setattr(code, "_MOST", 30_000)
    code.pack([str(folder)])

    with pytest.raises(RunError, match="packed"):
        code.pack([str(folder), str(folder)])


def test_a_package_and_a_file_are_found_by_their_names_and_the_modules_of_another_folder_by_theirs(
    folder: Path,
) -> None:
    write(folder / "tables" / "__init__.py")
    write(folder / "tables" / "inner" / "more.py")
    write(folder / "library" / "rates.py")
    modules = [folder / "tables", folder / "library", folder / "work.py", folder / "library"]
    packed = code.pack([], map(str, modules))
    for number, each in enumerate(packed):
        code.unpack(each, folder.parent / "there" / str(number))

    there = folder.parent / "there"
    assert sorted(str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()) == [
        "0/tables/__init__.py",
        "0/tables/inner/more.py",
        "1/rates.py",
        "2/work.py",
    ]


def test_modules_and_folders_may_have_together_what_one_may_have(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.bin").write_bytes(os.urandom(20_000))
    monkeypatch.setattr(code, "_MOST", 30_000)

    with pytest.raises(RunError, match="packed"):
        code.pack([str(folder)], [str(folder)])


def test_beside_a_program_only_modules_and_packages_are_sent_as_it_may_be_in_anybody_s_home(folder: Path) -> None:
    for name in ("letters.txt", "photos/one.jpg", "package/__init__.py", "package/words.txt", "package/inner/more.py"):
        write(folder / name)

    assert sent(folder, program=True) == [
        "package/__init__.py",
        "package/inner/more.py",
        "package/words.txt",
        "work.py",
    ]


def test_a_program_with_too_many_modules_begins_all_the_same_and_says_that_none_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(code, "_MOST_ENTRIES", 0)

    assert code.pack([], program=str(folder)) == ()
    assert "Nodes are not sent the modules beside the program." in caplog.text
    assert str(folder) in caplog.text
