"""Limits filter: a filter of system calls with one rule: a process changes its own limits, and nobody else's.

Landlock does not look at `prlimit`. With it any process of the same user can take another's descriptors or CPU time,
and a host without descriptors is as good as killed. The kernel cannot tell a filter whose number a process id is. So a
process cannot change the limits of what it has started either; it sets them before it starts it.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final, NamedTuple

from .kernel import LIBC

__all__ = ["Filter", "make_filter"]

_SET_FILTER: Final = 1
_ASK_FOR_ACTION: Final = 2
_LEAVE_SPECULATION: Final = 4
"""Kernels before 5.16 would slow a process down behind any filter (SSBD)."""

_LOAD: Final = 0x20
_EQUALS: Final = 0x15
_AND: Final = 0x54
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050001
"""With EPERM."""

_NUMBER, _ARCHITECTURE, _PID, _NEW_LIMIT = 0, 4, 16, 32
"""Where the kernel has them in `struct seccomp_data`; the low half first on the processors below."""

_WITHOUT_X32: Final = 0xBFFFFFFF
"""Programs for x32 mark their calls by that bit."""

_INSTRUCTION: Final = struct.Struct("=HBBI")


class _Processor(NamedTuple):
    seccomp: int
    calls: tuple[tuple[int, int], tuple[int, int]]
    """Architecture and the number of `prlimit64` there, for programs of 64 and of 32 bits."""


_PROCESSORS: Final = {
    "x86_64": _Processor(317, ((0xC000003E, 302), (0x40000003, 340))),
    "aarch64": _Processor(277, ((0xC00000B7, 261), (0x40000028, 369))),
}


class Filter(NamedTuple):
    """Filter: a process calls it to be behind the filter, once it can gain no privileges.

    Attributes:
        arguments: of the C library's `syscall`, which returns 0.
        memory: what the last of them refers to.
    """

    arguments: tuple[int, int, int, bytes]
    memory: ctypes.Array[ctypes.c_char]


def make_filter() -> Filter | None:
    """Return the filter; None where this kernel has none, or the processor is one whose calls are not known here."""
    processor = _PROCESSORS.get(os.uname().machine)
    if processor is None:
        return None
    if LIBC.syscall(processor.seccomp, _ASK_FOR_ACTION, 0, struct.pack("=I", _REFUSE & 0xFFFF0000)) != 0:
        return None
    program = _program(processor)
    memory = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
    return Filter((processor.seccomp, _SET_FILTER, _LEAVE_SPECULATION, described), memory)


def _program(processor: _Processor) -> bytes:
    """Return the rule as the kernel reads it. Each jump says how many instructions are left out."""
    (architecture, number), (shorter_architecture, shorter_number) = processor.calls
    instructions = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUALS, 0, 3, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_AND, 0, 0, _WITHOUT_X32),
        (_EQUALS, 3, 9, number),
        (_EQUALS, 0, 8, shorter_architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_EQUALS, 0, 6, shorter_number),
        # Of oneself is 0.
        (_LOAD, 0, 0, _PID),
        (_EQUALS, 4, 0, 0),
        # Both halves of the address of new limits: reading another's does no harm.
        (_LOAD, 0, 0, _NEW_LIMIT),
        (_EQUALS, 0, 3, 0),
        (_LOAD, 0, 0, _NEW_LIMIT + 4),
        (_EQUALS, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
    return b"".join(_INSTRUCTION.pack(*one) for one in instructions)
