"""What tasks have said, read as text from any offset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from subactors.runtime.runs import output_text
from subactors.runtime.runs.output import OutputFiles
from subactors.runtime.runs.output_text import TextPiece, incomplete, leading, read_text


@pytest.fixture
def output(tmp_path: Path) -> Iterator[OutputFiles]:
    output = OutputFiles(tmp_path, "agent_task_1", 1_000_000)
    yield output
    output.close()


def pieces(output: OutputFiles) -> list[TextPiece]:
    found = []
    offset = 0
    while offset < output.size:
        found.append(read_text(output, offset, output.size))
        offset = found[-1].end
    return found


@pytest.mark.parametrize("character", ["é", "你", "𝄞"])
def test_a_character_has_begun_until_its_last_byte(character: str) -> None:
    data = character.encode()

    assert [incomplete(b"ab" + data[:count]) for count in range(len(data))] == list(range(len(data)))
    assert incomplete(data) == incomplete(b"ab" + data) == 0
    assert [leading(data[start:] + b"ab") for start in range(1, len(data))] == [
        len(data) - start for start in range(1, len(data))
    ]


@pytest.mark.parametrize("data", [b"", b"a", b"\x80\x80\x80\x80", b"\xff", b"\xc0", b"\xc3\xa9\xa9", b"\xf8", b"\xc1"])
def test_bytes_that_begin_no_character_wait_for_nothing(data: bytes) -> None:
    assert incomplete(data) == 0


@pytest.mark.parametrize("piece", range(4, 12))
def test_text_is_the_same_in_pieces_of_any_size(
    output: OutputFiles, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(output_text, "_PIECE", piece)
    text = "aé你𝄞é𝄞𝄞你b" * 5
    output.write(text.encode())

    found = pieces(output)

    assert "".join(each.text for each in found) == text
    assert all(each.missed == 0 for each in found)
    assert all(len(each.text.encode()) <= piece for each in found)


def test_bytes_that_are_no_text_do_not_stop_the_reading(output: OutputFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_text, "_PIECE", 4)
    data = bytes(range(256)) + b"\xf0\x9d" + b"\x80" * 9 + "é".encode() + b"\xf0\x9d\x84"
    output.write(data)

    found = pieces(output)

    assert found[-1].end == len(data)
    assert "é" in "".join(each.text for each in found)
    assert all(each.missed == 0 for each in found)


def test_what_has_begun_waits_where_more_may_come(output: OutputFiles) -> None:
    output.write("aé".encode()[:2])

    assert read_text(output, 0, 2, is_final=False) == TextPiece("a", 1, 0)
    assert read_text(output, 1, 2, is_final=False) == TextPiece("", 1, 0)
    assert read_text(output, 1, 2) == TextPiece("\ufffd", 2, 0)


@pytest.mark.parametrize("shift", range(4))
def test_each_byte_around_a_gap_is_told_or_missed_and_no_character_is_cut(tmp_path: Path, shift: int) -> None:
    output = OutputFiles(tmp_path, "agent_task_1", 40)
    text = "x" * shift + "é你𝄞" * 100
    for start in range(0, len(text.encode()), 7):
        output.write(text.encode()[start : start + 7])
    output.close()

    found = pieces(output)

    assert sum(each.missed + len(each.text.encode()) for each in found) == len(text.encode())
    assert "\ufffd" not in "".join(each.text for each in found)
    assert text.startswith(found[0].text)
    assert text.endswith(found[-1].text)
    assert len([each for each in found if each.missed]) == 1


def test_of_output_that_is_gone_all_is_missed(output: OutputFiles) -> None:
    output.write(b"x" * 5000)
    output.remove()

    assert read_text(output, 100, 5000) == TextPiece("", 5000, 4900)
