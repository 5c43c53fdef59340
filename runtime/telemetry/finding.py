"""Finding: whether this program has set up an SDK of OpenTelemetry. Imports nothing where it has not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .telemetry import Telemetry

__all__ = ["find_telemetry"]


def find_telemetry() -> Telemetry | None:
    """Return what makes spans and metrics with the SDK that the program has set up; None if it has set up none.

    The API's own providers do nothing. They are there where any library of the program knows OpenTelemetry.
    """
    if not (_is_set_up("trace", "get_tracer_provider") or _is_set_up("metrics", "get_meter_provider")):
        return None
    from .telemetry import Telemetry  # noqa: PLC0415 - see the module

    return Telemetry.of_sdk()


def _is_set_up(signal: str, get_provider: str) -> bool:
    name = f"opentelemetry.{signal}"
    get = getattr(sys.modules.get(name), get_provider, None)  # it may just be being imported, in another thread
    return get is not None and not type(get()).__module__.startswith(name)
