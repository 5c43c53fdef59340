"""Cases of CPython's suites that cannot hold on the context, and why. README of `actors/` has them as a table."""

from typing import Final

_BY_NAME: Final = "a fresh interpreter is given the start method's name, and knows none but the standard library's"

EXPECTED: Final = {
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
