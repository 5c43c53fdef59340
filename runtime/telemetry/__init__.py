"""Telemetry: spans and metrics of tasks for OpenTelemetry, made in the host of what it hears of its tasks.

No module of this room but `finding` is imported where nobody wants telemetry. It uses the API package of OpenTelemetry
alone. The names of attributes and metrics are written out as the conventions for generative AI have them: the constants
of `opentelemetry-semantic-conventions` for them have moved, and are deprecated.
"""
