"""What a node keeps of the modules that it was sent: by what is in them, and not for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from subactors.runtime import StateError
from subactors.runtime.nodes import code_store
from subactors.runtime.nodes.code_store import CodeStore, name_of


class Host:
    """Sends what it is asked for, if it has that.

    Attributes:
        asked: for what it was, in all.
    """

    def __init__(self, *archives: bytes) -> None:
        self._archives = {name_of(packed): packed for packed in archives}
        self.asked: list[str] = []

    def set_up(self, root: Path, names: Sequence[str]) -> list[bytes]:
        """Return what a new agent has."""
        store = CodeStore()

        def ask(missing: tuple[str, ...]) -> None:
            self.asked += missing
            for name in missing:
                store.take(self._archives[name])

        return store.have(root, names, ask)


def test_what_is_there_already_is_not_sent_again_and_what_is_new_is(tmp_path: Path) -> None:
    host = Host(b"first", b"second")
    first, second = name_of(b"first"), name_of(b"second")

    assert host.set_up(tmp_path, [first, first]) == [b"first", b"first"]
    assert host.set_up(tmp_path, [second, first]) == [b"second", b"first"]
    assert host.set_up(tmp_path, [first, second]) == [b"first", b"second"]
    assert host.asked == [first, second]


@pytest.mark.parametrize("other", [b"", b"something else"])
def test_what_has_been_changed_there_is_sent_again(tmp_path: Path, other: bytes) -> None:
    host, name = Host(b"first"), name_of(b"first")
    host.set_up(tmp_path, [name])
    (tmp_path / "code" / name).write_bytes(other)

    assert [host.set_up(tmp_path, [name]) for _ in range(2)] == [[b"first"]] * 2
    assert host.asked == [name, name]


def test_the_latest_used_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_store, "_MOST", 2)
    archives = [b"%d" % number for number in range(3)]
    host = Host(*archives)
    for packed in archives[:2]:
        host.set_up(tmp_path, [name_of(packed)])
        os.utime(tmp_path / "code" / name_of(packed), (0, 0))
    host.set_up(tmp_path, [name_of(archives[0])])
    host.set_up(tmp_path, [name_of(archives[2])])

    assert {path.name for path in (tmp_path / "code").iterdir()} == {name_of(archives[0]), name_of(archives[2])}


def test_a_folder_in_which_nothing_can_be_kept_keeps_nobody_from_it(tmp_path: Path) -> None:
    (tmp_path / "code").write_text("no folder")
    host, name = Host(b"first"), name_of(b"first")

    assert [host.set_up(tmp_path, [name]) for _ in range(2)] == [[b"first"]] * 2


def test_what_does_not_come_is_an_error_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_store, "_PATIENCE", 0.01)

    with pytest.raises(StateError, match=r"its host has within 0\.01 s not sent the modules of the team"):
        CodeStore().have(tmp_path, [name_of(b"first")], lambda _: None)


def test_who_waits_is_let_go_when_no_more_comes(tmp_path: Path) -> None:
    store, asked = CodeStore(), threading.Event()
    giving_up = threading.Thread(target=lambda: (asked.wait(), store.give_up()))
    giving_up.start()
    with pytest.raises(StateError, match="its host has ended before it had sent the modules"):
        store.have(tmp_path, [name_of(b"first")], lambda _: asked.set())
    giving_up.join()
