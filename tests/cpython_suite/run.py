"""Runs CPython's own suites: `python tests/cpython_suite/run.py [--executors | --tasks] [-k PATTERN] [-v]`.

It takes `test._test_multiprocessing`, or the process pools of `test.test_concurrent_futures`, from the running Python,
where the installation has them, and changes nothing of them but the start method.
Exit status 0 says that every case passed that is not in `expected_failures.py`, 77 that there is no suite.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import os
import sys
import unittest
from fnmatch import fnmatchcase
from pathlib import Path

from expected_failures import EXPECTED, NOT_RUN

HUNG = 600
NO_SUITE = 77


def main() -> int:
    """Run the cases; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", action="append", metavar="PATTERN", help="only cases whose Class.name matches, with *")
    parser.add_argument("--executors", action="store_true", help="the cases of process pools")
    parser.add_argument("--tasks", action="store_true", help="the cases of any executor, on that of a runtime")
    parser.add_argument("-v", action="store_true", help="name each case")
    arguments = parser.parse_args()
    of_futures = arguments.executors or arguments.tasks
    name = "test.test_concurrent_futures" if of_futures else "test._test_multiprocessing"
    if importlib.util.find_spec(name) is None:
        print(f"This Python was installed without its own tests ({name}).", file=sys.stderr)
        return NO_SUITE
    faulthandler.dump_traceback_later(HUNG, exit=True)
    # For the zygote, and for fresh interpreters that cases start.
    folder = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    cases_of = {arguments.executors: "executor_cases", arguments.tasks: "task_executor_cases"}
    module = importlib.import_module(cases_of.get(True, "zygote_cases"))

    suite = unittest.TestSuite(cases(unittest.defaultTestLoader.loadTestsFromModule(module), arguments.k))
    result = unittest.TextTestRunner(verbosity=2 if arguments.v else 1).run(suite)
    return verdict(result)


def cases(found: unittest.TestSuite, patterns: list[str] | None) -> list[unittest.TestCase]:
    """Return the cases of a suite that match."""
    chosen: list[unittest.TestCase] = []
    for one in found:
        if isinstance(one, unittest.TestSuite):
            chosen += cases(one, patterns)
        elif short(one) in NOT_RUN:
            print(f"{short(one)} is not run: it {NOT_RUN[short(one)]}.")
        elif patterns is None or any(fnmatchcase(short(one), pattern) for pattern in patterns):
            chosen.append(one)
    return chosen


def short(case: unittest.TestCase) -> str:
    """Return `Class.name`."""
    return ".".join(case.id().split(".")[-2:])


def verdict(result: unittest.TestResult) -> int:
    """Say which cases did not do what is expected of them; return 0 if all did."""
    failed = {short(case) for case, _ in [*result.failures, *result.errors]}
    failed |= {short(case) for case in result.unexpectedSuccesses}
    unexpected = failed - EXPECTED.keys()
    print(f"{result.testsRun - len(failed) - len(result.skipped)} passed, {len(result.skipped)} skipped,", end=" ")
    print(f"{len(failed & EXPECTED.keys())} failed as expected, {len(unexpected)} failed: {sorted(unexpected)}")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
