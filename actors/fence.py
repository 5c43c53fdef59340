"""Fence: a Landlock domain of its own around each actor's process, held by the kernel.

Out of its domain a process cannot signal, stop, trace or read another one, whoever its user is, root included. Into the
domains below its own it can, so it may end whatever it starts. Two processes that were forked side by side are in two
domains. Nothing here hides a file: a domain that bounds signals and tracing alone leaves files as they are.

Root has one way around: a process that may watch the whole machine's performance may read any process's environment and
memory map, even if it must not trace it. So root's processes lose the two capabilities for that, and a third one, with
which they could raise their own limits.

Landlock does not look at another process's limits, and these can kill, too. A filter of system calls
(`linux/limits_filter`) keeps a process from changing them.

Ruleset and filter are made once, in the zygote. To put on each costs a new process less than a tenth of a millisecond.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import threading
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, TypeVar

from .errors import StartError
from .linux.kernel import LIBC
from .linux.limits_filter import make_filter
from .wire.messages import CHANNEL

__all__ = ["FenceKind", "FenceOffer", "call_fenced", "make_ruleset", "offer", "put_on", "steps_of_a_fence"]

FenceKind = Literal["signals and tracing", "tracing", "none"]

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""Numbers of the system calls, the same on every processor; the C library has no names for them."""

_ASK_FOR_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_REFER: Final = 1 << 13
_SCOPES: Final = 0b11
"""Abstract sockets and signals: neither to one outside of the domain."""

_ABSTRACT_SOCKETS: Final = 1

_WITH_SCOPES: Final = 6
"""The interface's version in Linux 6.12."""

_WITH_REFER: Final = 2
"""In Linux 5.19. In a domain of version 1 nobody can move a file to another folder, which would break honest work."""

_CAP_SYS_ADMIN: Final = 21
_CAP_SYS_RESOURCE: Final = 24
_CAP_PERFMON: Final = 38
_CAPABILITIES_OF_64_BITS: Final = 0x20080522
_CAPABILITY_SETS: Final = struct.Struct("=6I")

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39

_prctl: Final = LIBC.prctl
_syscall: Final = LIBC.syscall
"""For `put_on`: what a new process looks up in an object it pays for, a dozen pages for these."""

_Result = TypeVar("_Result")


class FenceOffer(NamedTuple):
    """Offer of this kernel.

    Attributes:
        kind: what a process behind a fence cannot do to those outside.
        how: by what means, and what is left open, for people.
    """

    kind: FenceKind
    how: str


def offer() -> FenceOffer:
    """Ask the kernel what it offers; a few microseconds, in any process."""
    version = LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_FOR_VERSION)
    if version < 0:
        why = f"this kernel has no Landlock, or not for this process ({os.strerror(ctypes.get_errno())})"
        return FenceOffer("none", f"{why}: a task can signal and trace whatever else this user runs")
    if version >= _WITH_SCOPES:
        also = ", nor change their limits (by a filter: seccomp); their priorities it can change (renice)"
        if make_filter() is None:
            also = "; their limits and priorities (prlimit, renice) it can change, as there is no seccomp filter for it"
        return FenceOffer(
            "signals and tracing",
            f"the kernel keeps each task to itself (Landlock, version {version}): it can neither signal, trace nor "
            f"read the host, the zygote and other tasks{also}",
        )
    since = "Linux 6.12 keeps it from signalling them, too"
    if version >= _WITH_REFER:
        return FenceOffer(
            "tracing",
            f"the kernel keeps each task to itself (Landlock, version {version}): it can neither trace nor read the "
            f"host, the zygote and other tasks, nor mount anything; {since}",
        )
    return FenceOffer("none", f"Landlock of version {version} would keep tasks from moving files; {since}")


def make_ruleset(kind: FenceKind | None = None) -> int | None:
    """Return a descriptor of a ruleset for `put_on`, which is not `CHANNEL`; None where there is no fence.

    Args:
        kind: what it is to keep from; what the kernel offers if None.

    Raises:
        OSError: the kernel, which offers it, has refused.
    """
    kind = kind or offer().kind
    if kind == "none":
        return None
    scopes = kind == "signals and tracing"
    # A domain without scopes has to handle some right. This one it gives back below, everywhere.
    attributes = struct.pack("=QQQ", 0, 0, _SCOPES) if scopes else struct.pack("=Q", _REFER)
    ruleset = LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "the kernel refused a Landlock ruleset")
    try:
        if not scopes:
            _allow_everywhere(ruleset)
        return fcntl.fcntl(ruleset, fcntl.F_DUPFD_CLOEXEC, CHANNEL + 1)
    finally:
        os.close(ruleset)


def _allow_everywhere(ruleset: int) -> None:
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", _REFER, root)
        if LIBC.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "the kernel refused a Landlock rule")
    finally:
        os.close(root)


def steps_of_a_fence() -> list[tuple[Callable[..., object], tuple[Any, ...]]]:
    """Return what a forked process has to call to be behind a fence, in order; nothing where the kernel has none."""
    ruleset = make_ruleset()
    if ruleset is None:
        return []
    steps: list[tuple[Callable[..., object], tuple[Any, ...]]] = [(put_on, (ruleset,))]
    if (own_limits := make_filter()) is not None:
        steps.append((_install, own_limits))
    header = struct.pack("=Ii", _CAPABILITIES_OF_64_BITS, 0)
    held = ctypes.create_string_buffer(_CAPABILITY_SETS.size)
    if LIBC.capget(header, held) != 0:
        return steps
    before = _CAPABILITY_SETS.unpack(held.raw)
    # Three sets of the first 32 capabilities, then of the others.
    lost = (*[1 << _CAP_SYS_ADMIN | 1 << _CAP_SYS_RESOURCE] * 3, *[1 << (_CAP_PERFMON - 32)] * 3)
    after = _CAPABILITY_SETS.pack(*(had & ~without for had, without in zip(before, lost, strict=True)))
    if after != held.raw:
        # To hold less cannot fail. No program that is run brings them back, as privileges are not gained any more.
        steps.append((LIBC.capset, (header, after)))
    return steps


def _install(arguments: tuple[int, int, int, bytes], _memory: object) -> None:
    """Install a filter, whose two members these are: to look one up by its name is pages of a new process."""
    if _syscall(*arguments):
        raise StartError(f"the kernel refused the filter of its calls: {os.strerror(ctypes.get_errno())}")


def put_on(ruleset: int) -> None:
    """Put this process, which has one thread, and all that it will start behind a fence. There is no way back.

    It gains no privileges from then on, as by programs that belong to another user (`sudo`), without which the kernel
    lets nobody but root do this.

    Raises:
        StartError: the kernel refused; sixteen fences around each other are the most.
    """
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or _syscall(_RESTRICT_SELF, ruleset, 0):
        raise StartError(f"the kernel refused the fence around it: {os.strerror(ctypes.get_errno())}")


def call_fenced(start: Callable[[], _Result]) -> _Result:
    """Make a call that starts a program which is to read nothing of this process, its memory least of all.

    The program is in a domain below this process's own. So this process can still do with it what it likes, and the
    program can signal this process. Where this process is behind no fence, or the kernel has no scopes, it is just a
    call. Whatever the call raises is raised here.
    """
    ruleset = _ruleset_against_tracing()
    if ruleset is None:
        return start()
    outcomes: list[_Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        # A domain is a thread's, and what the thread starts is in it. Refused, it is one fence of several.
        LIBC.syscall(_RESTRICT_SELF, ruleset, 0)
        try:
            outcomes.append(start())
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    thread = threading.Thread(target=work, name="subactors-fenced")
    try:
        thread.start()
    except RuntimeError:  # no thread is left for it
        return start()
    else:
        thread.join()
    finally:
        os.close(ruleset)
    if errors:
        raise errors[0]
    return outcomes[0]


def _ruleset_against_tracing() -> int | None:
    """Return a descriptor of a ruleset that leaves signals alone, as the program may mean its own task by them."""
    if LIBC.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 or offer().kind != "signals and tracing":
        return None
    attributes = struct.pack("=QQQ", 0, 0, _ABSTRACT_SOCKETS)
    ruleset: int = LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    return ruleset if ruleset >= 0 else None
