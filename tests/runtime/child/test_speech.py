"""What is held back of a line, by the thread that says it."""

from __future__ import annotations

import _thread
import threading

import pytest
from subactors.runtime.child.speech import Speech


def test_a_thread_that_is_the_first_to_begin_tears_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    speech = Speech()
    speech.begin(said.append)
    monkeypatch.setattr(_thread, "_count", lambda: 1)

    def say() -> None:
        speech.write("the beginning ", None)
        said.append("another's line\n")
        speech.write("and the end\n", None)

    thread = threading.Thread(target=say)
    thread.start()
    thread.join()

    assert said == ["another's line\n", "the beginning and the end\n"]
