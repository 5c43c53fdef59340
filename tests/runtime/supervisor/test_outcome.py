"""The one decision on how a task ended."""

from __future__ import annotations

import signal

import msgspec
import pytest
from subactors.actors import ErrorData, GroupUse, ProcessExit
from subactors.runtime.supervisor.outcome import Outcome, StopRequest, ended_owner, judge
from subactors.runtime.tasks.messages import Finished
from subactors.runtime.team.config import Limits

HALF_DONE = "what it was doing may be half done."
STOP = StopRequest(grace=2.0, took=0.25, by="Ctrl-C")
SLOW_STOP = StopRequest(grace=2.0, took=2.04, by="Ctrl-C")
ANSWERED = Finished('"the answer"', early=False)
CUT_SHORT = Finished("null", early=True)
NORMAL = ProcessExit(code=0, ready=True, finished=True)
RAISED = ProcessExit(code=0, ready=True, finished=True, error=ErrorData("package.module.OwnError", "no good"))
EXITED = ProcessExit(code=3, ready=True)
CRASHED = ProcessExit(signal=signal.SIGSEGV, ready=True)
KILLED = ProcessExit(signal=signal.SIGKILL, killed=True, ready=True)
BROKEN = ProcessExit(signal=signal.SIGKILL, killed=True, ready=True, violation="a frame of unknown kind 9")
UNSEEN = ProcessExit(unobserved="the zygote ended with status -9, and its processes with it")


@pytest.mark.parametrize("end", [NORMAL, EXITED, CRASHED, KILLED, BROKEN, UNSEEN])
@pytest.mark.parametrize("stop", [None, STOP])
def test_an_answer_that_was_given_before_a_stop_is_an_answer_whatever_came_after(
    end: ProcessExit, stop: StopRequest | None
) -> None:
    outcome = judge(end, finished=ANSWERED, stop=stop, log="noise")

    assert (outcome.status, outcome.reason) == ("completed", "")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (RAISED, "OwnError: no good"),
        (EXITED, "The task's process ended by itself with exit status 3."),
        (ProcessExit(code=0, ready=True), "The task's process ended by itself with exit status 0."),
        (CRASHED, "The task's process was ended by SIGSEGV."),
        (
            ProcessExit(signal=signal.SIGKILL, ready=True),
            "The task's process was ended by SIGKILL, which was not sent from here (out of memory, or by hand).",
        ),
        (BROKEN, "The task's process broke the protocol: a frame of unknown kind 9."),
        (UNSEEN, "The task's process ended in a way nobody could observe: the zygote ended with status -9, and its"),
        (NORMAL, "The task's process ended without an answer, as if it had been stopped."),
    ],
)
def test_an_end_without_answer_and_stop_is_a_failure_that_says_what_happened(end: ProcessExit, reason: str) -> None:
    outcome = judge(end, finished=None, stop=None, log="")

    assert outcome.status == "failed"
    assert outcome.reason.startswith(reason)


@pytest.mark.parametrize(
    ("end", "finished", "stop", "reason"),
    [
        (NORMAL, CUT_SHORT, STOP, "Stopped by Ctrl-C; it ended 0.2 s later."),
        (NORMAL, None, STOP, "Stopped by Ctrl-C; it ended 0.2 s later."),
        (RAISED, None, STOP, "Stopped by Ctrl-C; it ended 0.2 s later, raising OwnError: no good."),
        (EXITED, None, STOP, "Stopped by Ctrl-C; its process ended by itself with exit status 3, 0.2 s later."),
        (CRASHED, None, STOP, "Stopped by Ctrl-C; its process was ended by SIGSEGV, 0.2 s later."),
        (
            KILLED,
            None,
            SLOW_STOP,
            f"Stopped by Ctrl-C, did not react, and was killed after the grace period of 2 s; {HALF_DONE}",
        ),
        (
            KILLED,
            CUT_SHORT,
            SLOW_STOP,
            "Stopped by Ctrl-C; it ended its work, but its process lived on and was killed after 2.0 s.",
        ),
    ],
)
def test_an_end_after_a_stop_is_a_stop_that_says_how_it_went(
    end: ProcessExit, finished: Finished | None, stop: StopRequest, reason: str
) -> None:
    outcome = judge(end, finished=finished, stop=stop, log="")

    assert (outcome.status, outcome.reason) == ("stopped", reason)


def test_a_stop_that_somebody_else_caused_says_who() -> None:
    stop = StopRequest(grace=2.0, took=0.0, by="lead, together with agent_task_1, which had started it")

    outcome = judge(NORMAL, finished=CUT_SHORT, stop=stop, log="")

    assert outcome.reason == "Stopped by lead, together with agent_task_1, which had started it; it ended at once."
    assert not ended_owner(outcome.reason)


@pytest.mark.parametrize("end", [NORMAL, EXITED, RAISED])
def test_what_is_stopped_as_its_owner_has_ended_says_so(end: ProcessExit) -> None:
    stop = StopRequest(grace=2.0, took=0.0, ended_owner="lead")

    outcome = judge(end, finished=None, stop=stop, log="")

    assert outcome.reason.startswith("Stopped, because lead had ended; ")
    assert ended_owner(outcome.reason) == "lead"


def test_a_broken_protocol_is_a_failure_even_while_the_task_is_being_stopped() -> None:
    assert judge(BROKEN, finished=None, stop=STOP, log="").status == "failed"


@pytest.mark.parametrize("end", [EXITED, CRASHED, BROKEN])
def test_the_last_words_of_a_process_that_broke_down_are_in_the_reason(end: ProcessExit) -> None:
    outcome = judge(end, finished=None, stop=None, log="Fatal Python error: Segmentation fault\n")

    assert outcome.reason.endswith("\nThe end of its standard error:\nFatal Python error: Segmentation fault")


def test_an_exception_is_reason_enough_without_last_words() -> None:
    assert judge(RAISED, finished=None, stop=None, log="noise").reason == "OwnError: no good"


LIMITS = Limits(memory=150_000_000, processes=8)
FULL = GroupUse(memory_kills=3, memory_peak=149_999_616)
CROWDED = GroupUse(refused_forks=1, entries=2048)
REFUSED = ErrorData("builtins.BlockingIOError", "Resource temporarily unavailable")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (
            ProcessExit(signal=signal.SIGKILL, ready=True, group=FULL),
            "The limit memory of 150 MB was reached: its tree used 150 MB.",
        ),
        (
            ProcessExit(code=0, ready=True, finished=True, error=REFUSED, group=CROWDED),
            (
                "The limit processes of 8 was reached: "
                "its tree had 2,048 processes and threads, and the kernel let it start no more."
            ),
        ),
    ],
)
@pytest.mark.parametrize("stop", [None, STOP])
def test_what_ends_in_its_control_group_for_a_limit_names_the_limit_and_is_not_tried_again(
    end: ProcessExit, reason: str, stop: StopRequest | None
) -> None:
    assert judge(end, finished=None, stop=stop, log="", limits=LIMITS) == Outcome(
        "failed", reason, final=True, kind="limit"
    )


def test_an_error_that_has_nothing_to_do_with_the_control_group_is_told_as_it_is() -> None:
    end = msgspec.structs.replace(RAISED, group=GroupUse(refused_forks=1, entries=2048))

    assert judge(end, finished=None, stop=None, log="", limits=LIMITS).reason == "OwnError: no good"


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (msgspec.structs.replace(NORMAL, survivors=1, survivor_ids=(4711,)), "was not gone by then (id 4711): it is"),
        (
            msgspec.structs.replace(NORMAL, survivors=2, survivor_ids=(7, 9)),
            "2 processes that it, or a task that ended together with it, seems to have started were",
        ),
        (msgspec.structs.replace(NORMAL, survivors=2, survivor_ids=(7, 9)), "(ids 7, 9): they are"),
        (msgspec.structs.replace(NORMAL, survivors=1200, survivor_ids=(7, 9)), "1,200 processes"),
        (msgspec.structs.replace(NORMAL, survivors=1200, survivor_ids=(7, 9)), "(ids 7, 9, …)"),
        (msgspec.structs.replace(UNSEEN, survivors=3), "3 processes that it, or a task"),
    ],
)
def test_what_is_left_of_a_task_is_said_with_its_ids(end: ProcessExit, words: str) -> None:
    outcome = judge(end, finished=ANSWERED, stop=None, log="")
    assert outcome.status == "completed"
    assert words in outcome.reason


def test_what_is_left_is_said_after_the_reason() -> None:
    end = msgspec.structs.replace(EXITED, survivors=1, survivor_ids=(4711,))
    first, second = judge(end, finished=None, stop=None, log="").reason.split("\n")
    assert first == "The task's process ended by itself with exit status 3."
    assert second.startswith("A process that it, or a task that ended together with it, seems to have started")
