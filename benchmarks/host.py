"""A host: one scenario with one contender, in a program of its own, so that nothing of one reaches another.

Started by the runner: `python -m benchmarks.host SCENARIO CONTENDER FILE SIZE`, where SIZE is JSON. Values go to FILE.
It must import nothing at the top but what every Python has loaded: `multiprocessing` imports it again in each process
that it starts, and would be measured with all of it.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Measure."""
    import contextlib  # noqa: PLC0415 - here and below: see the module
    import json  # noqa: PLC0415
    import resource  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from .contenders import contender_class  # noqa: PLC0415
    from .contenders.base import NotOfferedError  # noqa: PLC0415
    from .results import Recorder  # noqa: PLC0415
    from .scenarios import measure_of  # noqa: PLC0415
    from .scenarios.base import Size  # noqa: PLC0415

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # tasks crash here on purpose; the same for all contenders
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    scenario, name, path, given = arguments
    fields = json.loads(given)
    size = Size(**{**fields, "tasks": tuple(fields["tasks"])})
    record = Recorder(Path(path))
    contender = contender_class(name)()
    with contextlib.ExitStack() as steps:
        steps.callback(contender.close)
        try:
            measure_of(scenario)(contender, size, record)
        except NotOfferedError as error:
            record.skip(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
