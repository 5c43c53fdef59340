"""The cases of CPython's `test_concurrent_futures` with a process pool; the zygote is in the place of the fork server.

Up to Python 3.11 they are one module, later a package of several.
"""

import importlib

import zygote_start_method  # noqa: F401 - it has to be there first

_SUITE = "test.test_concurrent_futures"
_MODULES = (
    "util",
    "test_as_completed",
    "test_deadlock",
    "test_init",
    "test_process_pool",
    "test_shutdown",
    "test_wait",
)

suite = importlib.import_module(_SUITE)
modules = [importlib.import_module(f"{_SUITE}.{name}") for name in _MODULES] if hasattr(suite, "__path__") else [suite]
mixin = modules[0].ProcessPoolForkserverMixin
mixin.ctx = "zygote"
for module in modules:
    for name, found in list(vars(module).items()):
        if isinstance(found, type) and issubclass(found, mixin) and found is not mixin:
            globals()[name] = found
