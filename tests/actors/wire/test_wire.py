"""Frames and messages: what is accepted, what is refused, and on which side."""

from __future__ import annotations

import dataclasses
import itertools
import resource
import struct

import msgspec
import pytest
from actor_classes import TextlessError
from subactors.actors import ErrorData, PlainDataError, ProtocolError
from subactors.actors.wire.frames import (
    MAXIMUM_FRAME,
    OUTPUT,
    FrameDecoder,
    decode_from_child,
    decode_from_zygote,
    decode_to_child,
    encode_frame,
    encode_packet,
    encode_plain,
    output_header,
)
from subactors.actors.wire.messages import Ask, Forked, Reply, Report, Stop, Stopped, error_data
from subactors.actors.wire.rebuild import rebuild
from subactors.actors.wire.reply import EncodedReply, encode_reply
from subactors.actors.wire.value_count import MOST_VALUES


def header(size: int, kind: int) -> bytes:
    return struct.pack(">IB", size, kind)


def frames_of(data: bytes, *, piece: int) -> list[tuple[int, bytes]]:
    """Feed bytes in pieces of a size."""
    decoder = FrameDecoder()
    return [frame for start in range(0, len(data), piece) for frame in decoder.feed(data[start : start + piece])]


THREE_FRAMES = encode_frame(Reply(1, encode_plain("a value"))) + output_header(5) + b"hello" + encode_frame(Stopped())


@pytest.mark.parametrize("cut", range(1, len(THREE_FRAMES)))
def test_a_stream_that_is_cut_anywhere_gives_the_same_frames(cut: int) -> None:
    decoder = FrameDecoder()
    frames = [*decoder.feed(THREE_FRAMES[:cut]), *decoder.feed(THREE_FRAMES[cut:])]
    assert frames == frames_of(THREE_FRAMES, piece=len(THREE_FRAMES))
    assert not decoder.torn


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_a_stream_in_small_pieces_gives_the_same_frames(piece: int) -> None:
    assert frames_of(THREE_FRAMES, piece=piece) == frames_of(THREE_FRAMES, piece=len(THREE_FRAMES))


def test_frames_come_in_the_order_in_which_they_were_sent() -> None:
    (first, answer), (second, output), (third, stopped) = frames_of(THREE_FRAMES, piece=4)
    assert decode_from_child(answer) == Reply(1, encode_plain("a value"))
    assert (second, output) == (OUTPUT, b"hello")
    assert decode_from_child(stopped) == Stopped()
    assert first == third != OUTPUT


def test_an_empty_frame_is_a_frame() -> None:
    assert frames_of(output_header(0), piece=1) == [(OUTPUT, b"")]


@pytest.mark.parametrize("length", range(1, len(encode_frame(Stopped()))))
def test_a_stream_that_ends_inside_a_frame_is_torn(length: int) -> None:
    decoder = FrameDecoder()
    assert list(decoder.feed(encode_frame(Stopped())[:length])) == []
    assert decoder.torn


def test_a_frame_of_the_greatest_length_is_accepted() -> None:
    assert frames_of(output_header(MAXIMUM_FRAME) + bytes(MAXIMUM_FRAME), piece=1 << 20) == [
        (OUTPUT, bytes(MAXIMUM_FRAME))
    ]


@pytest.mark.parametrize("size", [MAXIMUM_FRAME + 1, 1 << 31, (1 << 32) - 1])
def test_a_frame_that_announces_too_much_is_refused_by_its_header(size: int) -> None:
    with pytest.raises(ProtocolError, match=f"announces {size:,} bytes"):
        list(FrameDecoder().feed(header(size, 0)))


def test_a_frame_of_unknown_kind_is_refused() -> None:
    with pytest.raises(ProtocolError, match="unknown kind 9"):
        list(FrameDecoder().feed(header(1, 9)))


def test_frames_before_a_bad_one_are_still_given() -> None:
    frames = FrameDecoder().feed(output_header(2) + b"ok" + header(1, 9))
    assert next(frames) == (OUTPUT, b"ok")
    with pytest.raises(ProtocolError):
        next(frames)


@pytest.mark.parametrize("taken", [0, 1, 2])
@pytest.mark.parametrize("begun", [0, 3, 8])
def test_frames_that_were_not_taken_come_first_the_next_time(begun: int, taken: int) -> None:
    whole = frames_of(THREE_FRAMES, piece=len(THREE_FRAMES))
    decoder = FrameDecoder()
    list(decoder.feed(THREE_FRAMES[:begun]))
    frames = decoder.feed(THREE_FRAMES[begun:])
    some = [next(frames), *itertools.islice(frames, taken)]
    frames.close()
    assert decoder.torn == (some != whole)
    assert some + list(decoder.feed(THREE_FRAMES)) == whole + whole
    assert not decoder.torn


def test_the_host_may_send_a_child_more_than_it_may_send_the_host() -> None:
    frame = encode_frame(Ask(1, bytes(MAXIMUM_FRAME + 1)))
    ((_, payload),) = FrameDecoder(limit=None).feed(frame)
    assert decode_to_child(payload) == Ask(1, bytes(MAXIMUM_FRAME + 1))


def test_a_message_longer_than_the_limit_is_refused_where_it_is_sent() -> None:
    with pytest.raises(PlainDataError, match=r"longer than the 8,388,608 that may cross"):
        encode_frame(Reply(1, encode_plain(bytes(MAXIMUM_FRAME))))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"garbage",
        msgspec.msgpack.encode({"type": "unheard_of"}),
        msgspec.msgpack.encode({"type": "reply", "ask_id": "one", "value": 1}),
        msgspec.msgpack.encode({"type": "reply"}),
        msgspec.msgpack.encode({"type": "start", "urn": "", "actor": b""}),
        msgspec.msgpack.encode([1, 2, 3]),
        b"\x91" * 100_000,
        encode_frame(Stopped())[5:] + b"\x00",
    ],
    ids=["empty", "unused byte", "text", "tag", "type", "missing", "other direction", "array", "nesting", "surplus"],
)
def test_a_payload_that_is_no_declared_message_is_a_protocol_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="none of the declared types"):
        decode_from_child(payload)


def test_a_forged_length_inside_a_payload_takes_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for forged in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"):
        with pytest.raises(ProtocolError):
            decode_from_child(b"\x83\xa4type\xa5reply\xa6ask_id\x01\xa5value" + forged)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_the_body_of_a_report_stays_encoded() -> None:
    payload = encode_frame(Report(encode_plain({"any": "thing"})))[5:]
    decoded = decode_from_child(payload)
    assert isinstance(decoded, Report)
    assert msgspec.msgpack.decode(decoded.body) == {"any": "thing"}


@dataclasses.dataclass
class Pair:
    left: int
    right: list[str]


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, (1 << 64) - 1, -(1 << 63), 1.5, "", "häß 🎉", b"\x00\xff", [1, [2, []]], {"a": {"b": None}}],
)
def test_plain_data_arrives_as_it_was(value: object) -> None:
    assert EncodedReply(bytes(encode_reply(value)), pytest.fail).value() == value


def large_answer(kind: str) -> object:
    """Return one that is made when it is needed: the collector looks through all that is there from the beginning."""
    match kind:
        case "text":
            return "ä" * 3_000_000
        case "nested":
            return [
                {"name": f"entry {number}", "size": number * 1.5, "data": b"12", "parts": []}
                for number in range(90_000)
            ]
        case "just enough":
            return [0] * (MOST_VALUES - 1)
        case "mappings":
            return {str(number): dict.fromkeys("abcdefghijklmnopqrst", 1) for number in range(20_000)}
    integers = [-5, 200, -200, 70_000, -70_000, 1 << 33, -(1 << 33)]
    return [[*integers, "x" * 40, "x" * 300, "x" * 70_000, b"x" * 70_000]] * 9


@pytest.mark.parametrize(
    "kind", ["text", pytest.param("nested", marks=pytest.mark.slow), "just enough", "all kinds", "mappings"]
)
def test_a_large_answer_arrives_as_it_was(kind: str) -> None:
    value = large_answer(kind)
    assert EncodedReply(bytes(encode_reply(value)), pytest.fail).value() == value


@pytest.mark.parametrize(
    "value",
    [[0] * MOST_VALUES, [[[], {}]] * 400_000, dict.fromkeys(range(500_000), 0), [["x"] * 70_000] * 15],
    ids=["flat", "nested", "mapping", "long lists"],
)
def test_an_answer_of_too_many_values_is_refused_on_both_sides(value: object) -> None:
    with pytest.raises(PlainDataError, match="it holds more than 1,000,000 values"):
        encode_reply(value)
    problems: list[str] = []
    reply = EncodedReply(bytes(encode_plain(value)), problems.append)
    for _ in range(2):
        with pytest.raises(ProtocolError, match="it holds more than 1,000,000 values"):
            reply.value()
    assert problems == ["an answer that is not plain data: it holds more than 1,000,000 values"]


def test_a_dataclass_arrives_as_a_dict() -> None:
    assert EncodedReply(bytes(encode_reply(Pair(1, ["x"]))), pytest.fail).value() == {"left": 1, "right": ["x"]}


def endless() -> list[object]:
    cycle: list[object] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize(
    "value",
    [object(), len, 1 << 64, 1j, "\ud800", {"deep": [object()]}, endless()],
    ids=["object", "function", "big number", "complex number", "half a pair", "inside", "cycle"],
)
def test_what_is_not_plain_data_is_refused_with_the_remedy(value: object) -> None:
    with pytest.raises(PlainDataError, match="answer with None, bool, int"):
        encode_plain(value)


def test_a_plain_data_error_is_a_type_error() -> None:
    assert issubclass(PlainDataError, TypeError)


NUMBERS = {"one": 1}


def look_up(name: str) -> int:
    return NUMBERS[name]


def test_an_exception_becomes_type_text_and_traceback() -> None:
    with pytest.raises(KeyError) as caught:
        look_up("missing")
    data = error_data(caught.value)
    assert (data.type_name, data.message) == ("builtins.KeyError", "'missing'")
    assert "return NUMBERS[name]" in data.traceback


def test_an_exception_whose_text_cannot_be_made_still_becomes_data() -> None:
    data = error_data(TextlessError())
    assert data.type_name == "actor_classes.TextlessError"
    assert "could not be made" in data.message


def test_an_exception_whose_text_is_no_valid_unicode_can_cross() -> None:
    data = error_data(ValueError("half a pair: \ud83d"))
    assert decode_from_child(encode_frame(Stopped(data))[5:]) == Stopped(data)
    assert data.message == "half a pair: ?"


def test_an_exception_with_an_endless_text_is_cut_so_that_it_can_cross() -> None:
    data = error_data(ValueError("begin" + "x" * 20_000_000 + "end"))
    assert decode_from_child(encode_frame(Stopped(data))[5:]) == Stopped(data)
    assert data.message.startswith("begin")
    assert data.traceback.endswith("end\n")


def test_an_error_reads_like_the_end_of_a_traceback() -> None:
    assert str(ErrorData("builtins.ValueError", "no")) == "ValueError: no"
    assert str(ErrorData("package.Broken", "")) == "package.Broken"


@pytest.mark.parametrize("kind", ["ValueError", "KeyError", "OSError", "ExceptionGroup", "UnicodeDecodeError"])
def test_an_exception_is_rebuilt_whatever_its_constructor_wants(kind: str) -> None:
    rebuilt = rebuild(ErrorData(f"builtins.{kind}", "the text", "the traceback"))
    assert "the text" in str(rebuilt)


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_an_exception_that_would_end_the_host_is_not_rebuilt(name: str) -> None:
    assert type(rebuild(ErrorData(f"builtins.{name}", "1"))).__name__ == "RemoteError"


@pytest.mark.parametrize("name", ["builtins.exec", "builtins.int", "os.system", "subprocess.Popen", "", "pykka.Actor"])
def test_nothing_but_an_exception_is_made_from_a_name(name: str) -> None:
    assert type(rebuild(ErrorData(name, "text"))).__name__ == "RemoteError"


def test_a_packet_of_the_zygote_arrives_as_it_was() -> None:
    assert decode_from_zygote(encode_packet(Forked(3, 4))) == Forked(3, 4)


def test_a_packet_that_no_zygote_sends_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="the zygote sent something unreadable"):
        decode_from_zygote(b"nonsense")


def test_a_stop_is_small() -> None:
    assert decode_to_child(encode_frame(Stop())[5:]) == Stop()
