"""Cases of CPython's suites that cannot hold on the context, and why. README of `actors/` has them as a table."""

from typing import Final

_BY_NAME: Final = "a fresh interpreter is given the start method's name, and knows none but the standard library's"

_BY_CLASS: Final = "a fresh interpreter looks the executor's class up by name in `concurrent.futures`"
_PLAIN: Final = (
    "a result of a task is plain data: a tuple comes as a list, and an object of a class of its own not at all"
)

EXPECTED: Final = {
    "TaskExecutorShutdownTest.test_hang_gh83386": _BY_CLASS,
    "TaskExecutorShutdownTest.test_interpreter_shutdown": _BY_CLASS,
    "TaskExecutorShutdownTest.test_submit_after_interpreter_shutdown": _BY_CLASS,
    "TaskExecutorTest.test_free_reference": _PLAIN,
    "TaskExecutorTest.test_map_exception": _PLAIN,
    "TaskExecutorTest.test_submit_keyword": _PLAIN,
    "TestNoForkBomb.test_noforkbomb": _BY_NAME,
    "TestStartMethod.test_context": _BY_NAME,
    "TestFlags.test_flags": _BY_NAME,
    "ProcessPoolForkserverProcessPoolShutdownTest.test_interpreter_shutdown": _BY_NAME,
    "ProcessPoolForkserverProcessPoolShutdownTest.test_submit_after_interpreter_shutdown": _BY_NAME,
}

NOT_RUN: Final = {
    "WithProcessesTestProcess.test_parent_process": (
        "waits five minutes for a grandchild to tell of its parent's end, with which the zygote ends it"
    ),
}
