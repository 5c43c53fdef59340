"""The cases of CPython's `_test_multiprocessing`, with the zygote as the start method."""

import zygote_start_method  # noqa: F401 - it has to be there first
from test import _test_multiprocessing

_test_multiprocessing.install_tests_in_module_dict(globals(), "zygote")
