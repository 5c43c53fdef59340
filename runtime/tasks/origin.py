"""Origin: what starts a task, for its span: a tool call of a model, or a span of the host program.

Imports nothing of OpenTelemetry for programs that do not know it.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["calling", "current_span"]

calling: Final = ContextVar("calling", default="")
"""The id of the tool call that is carried out, as the model's server gave it. In its context, and that of threads
that it waits for."""


def current_span() -> Any:
    """Return the span that the caller is in; None where it is in none, or the program does not know OpenTelemetry."""
    get = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    if get is None:
        return None
    span = get()
    return span if span.get_span_context().is_valid else None
