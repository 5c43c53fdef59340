"""Wanted: sets up the SDK of OpenTelemetry that the environment asks a command of ours for.

A program sets up its own SDK. A command has nobody else who would, so it goes by the variables that all programs with
OpenTelemetry go by. Nothing of it is imported where they do not ask.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ..errors import SubactorsError
from .finding import find_telemetry

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

__all__ = ["SERVICE", "set_up_sdk"]

SERVICE: Final = "subactors"
"""The name of what sends, where the environment has none."""

Signal: TypeAlias = Literal["traces", "metrics"]

_HTTP: Final = "http/protobuf"
_PACKAGES: Final = {_HTTP: "proto.http", "grpc": "proto.grpc"}
"""Packages with exporters, by the protocol, below `opentelemetry.exporter.otlp`."""


def set_up_sdk(environ: Mapping[str, str]) -> None:
    """Set up what sends spans and metrics where `OTEL_…` variables say, unless they say nothing, or somebody has.

    Raises:
        SubactorsError: what they ask for is not installed, or not known here.
    """
    # The variables may be for somebody else, who knows more of them: `opentelemetry-instrument`.
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or find_telemetry() is not None:
        return
    wanted = {signal: _protocol(environ, signal) for signal in ("traces", "metrics") if _is_wanted(environ, signal)}
    if not wanted:
        return
    for package in ["sdk", *(f"exporter.otlp.{_PACKAGES[protocol]}" for protocol in wanted.values())]:
        if not _is_installed(f"opentelemetry.{package}"):
            name = f"opentelemetry-{package.replace('.', '-')}"
            raise SubactorsError(f"OTEL_… variables ask for telemetry, and {name} is missing: pip install {name}.")
    if "traces" in wanted:
        _send_traces(wanted["traces"])
    if "metrics" in wanted:
        _send_metrics(wanted["metrics"])


def _is_wanted(environ: Mapping[str, str], signal: Signal) -> bool:
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    name = environ.get(variable, "").strip()
    if name not in {"", "otlp", "none"}:
        raise SubactorsError(
            f"{variable} is {name!r}; here it may be otlp or none. `opentelemetry-instrument subactors …` knows others."
        )
    places = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    return name == "otlp" or (not name and any(environ.get(place) for place in places))


def _protocol(environ: Mapping[str, str], signal: Signal) -> str:
    variables = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next(filter(None, map(environ.get, variables)), _HTTP)
    if protocol not in _PACKAGES:
        raise SubactorsError(f"The protocol {protocol!r} of OTLP is not known here; use {' or '.join(_PACKAGES)}.")
    return protocol


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _send_traces(protocol: str) -> None:
    from opentelemetry import trace  # noqa: PLC0415 - see the module, as for all of these
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=_resource())
    provider.add_span_processor(BatchSpanProcessor(_exporter(protocol, "traces")))
    trace.set_tracer_provider(provider)


def _send_metrics(protocol: str) -> None:
    from opentelemetry import metrics  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    reader = PeriodicExportingMetricReader(_exporter(protocol, "metrics"))
    metrics.set_meter_provider(MeterProvider([reader], resource=_resource()))


def _resource() -> Resource:
    """Return what sends: the SDK would call it `unknown_service`, unless the environment has a name for it."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415

    return Resource.create({"service.name": SERVICE}).merge(OTELResourceDetector().detect())


def _exporter(protocol: str, signal: Signal) -> Any:
    where = f"opentelemetry.exporter.otlp.{_PACKAGES[protocol]}"
    if signal == "traces":
        return importlib.import_module(f"{where}.trace_exporter").OTLPSpanExporter()
    return importlib.import_module(f"{where}.metric_exporter").OTLPMetricExporter()
