"""Telemetry of commands: spans in a file, and what `OTEL_…` variables ask for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from commands import COMMAND, PATIENCE
from first_forms import first_always
from otlp_collector import Collector
from traced_team import TEAM, UNTOLD

KIT: Final = Path(__file__).parents[2] / "kit"


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("team") / "team.yaml"
    agents = {name: agent for name, agent in TEAM["agents"].items() if name in {"worker", "knowing"}}
    root = {"entrypoint": "traced_team:start_worker", "sub_agents": ["worker"]}
    file.write_text(json.dumps({"agents": {"root": root, **agents}}))
    return file


def run(*arguments: str | Path, before: Sequence[str] = (), **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, *COMMAND, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(KIT), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def spans_of(file: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [
        span
        for line in lines
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def test_a_file_has_the_spans_of_all_tasks_without_a_collector(team: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"

    done = run("run", team, "--otel-file", file, "go", OTEL_SERVICE_NAME="mine")

    assert (done.returncode, done.stdout) == (0, "worked\n"), done.stderr
    spans = {span["name"]: span for span in spans_of(file)}
    root, worker, tool = (spans[name] for name in ("invoke_agent root", "invoke_agent worker", "execute_tool think"))
    assert [link["spanId"] for link in worker["links"]] == [root["spanId"]]
    assert [link["spanId"] for link in root["links"]] == [worker["spanId"]]
    assert (tool["traceId"], tool["parentSpanId"]) == (worker["traceId"], worker["spanId"])
    assert spans["chat traced_team:worker"]["kind"] == 3
    assert int(tool["startTimeUnixNano"]) <= int(tool["endTimeUnixNano"]) <= int(worker["endTimeUnixNano"])
    assert attributes(worker)["subactors.task.status"] == "completed"
    resource = json.loads(file.read_text().splitlines()[0])["resourceSpans"][0]["resource"]
    assert attributes(resource)["service.name"] == "mine"
    assert file.stat().st_mode & 0o777 == 0o600
    assert UNTOLD not in file.read_text()


def test_a_file_is_what_otlp_says(team: Path, tmp_path: Path) -> None:
    proto = pytest.importorskip(
        "opentelemetry.proto.trace.v1.trace_pb2", reason="The messages of OTLP are not installed."
    )
    from google.protobuf import json_format  # noqa: PLC0415 - it comes with them

    file = tmp_path / "out.jsonl"
    run("dispatch", team, "worker", "one", "two", "--otel-file", file)

    for line in file.read_text().splitlines():
        data = json.loads(line)
        for span in data["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            # OTLP has ids in hexadecimal digits, where the JSON of protobuf has base64.
            for one in (span, *span["links"]):
                one |= {name: one[name].lower()[:8] for name in ("traceId", "spanId", "parentSpanId") if name in one}
        json_format.ParseDict(data, proto.TracesData())
    assert len(spans_of(file)) == 8


@first_always(
    ("kind", "said"),
    [
        ("fifo", "it is not a regular file"),
        ("link", "it is a link"),
        ("nothing", "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_an_error_of_usage(team: Path, tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / "out.jsonl"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(tmp_path / "target")
        case _:
            path = tmp_path / "no" / "out.jsonl"

    done = run("run", team, "--otel-file", path, "go")

    assert done.returncode == 2
    assert done.stderr.endswith(f"out.jsonl cannot be written: {said}.\n")
    assert not (tmp_path / "target").exists()


def test_standard_output_is_no_file_for_spans(team: Path) -> None:
    done = run("run", team, "--otel-file", "-", "go")

    assert done.returncode == 2
    assert "--otel-file wants the name of a file" in done.stderr


@pytest.mark.slow
def test_a_full_disk_costs_spans_and_no_task(team: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.touch()
    os.truncate(file, 200 << 20)
    limited = ("/bin/sh", "-c", 'ulimit -f 200000; exec "$@"', "sh")  # half of that, in blocks of 512 bytes

    done = run("run", team, "--otel-file", file, "go", before=limited)

    assert (done.returncode, done.stdout) == (0, "worked\n")
    assert done.stderr.splitlines()[-1] == (
        f"{file} is not whole: 5 of the spans could not be written: File too large."
    )


def test_otel_variables_send_spans_and_metrics_to_a_collector(team: Path) -> None:
    traces = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="The exporter for OTLP is not installed."
    )
    with Collector() as collector:
        done = run(
            "run",
            team,
            "go",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS="authorization=of-the-collector",
        )

    assert (done.returncode, done.stdout) == (0, "worked\n"), done.stderr
    requests = [traces.ExportTraceServiceRequest.FromString(body) for body in collector.received["/v1/traces"]]
    names = {
        span.name
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert names >= {"invoke_agent root", "invoke_agent worker", "chat traced_team:worker", "execute_tool think"}
    assert any(b"subactors.task.ended" in body for body in collector.received["/v1/metrics"])
    assert collector.headers["authorization"] == "of-the-collector"
    assert {_service(request.resource_spans[0].resource) for request in requests} == {"subactors"}
    assert not any(b"unknown_service" in body for body in collector.received["/v1/metrics"])


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["OTEL_SERVICE_NAME=mine", "OTEL_RESOURCE_ATTRIBUTES=service.name=mine,a=b"])
def test_the_environment_has_its_say_what_sends(team: Path, variable: str) -> None:
    traces = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="The exporter for OTLP is not installed."
    )
    name, _, value = variable.partition("=")
    with Collector() as collector:
        run("run", team, "go", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **{name: value})

    request = traces.ExportTraceServiceRequest.FromString(collector.received["/v1/traces"][0])
    assert _service(request.resource_spans[0].resource) == "mine"
    assert not any(b"unknown_service" in body for body in collector.received["/v1/metrics"])


def _service(resource: Any) -> str:
    return next(each.value.string_value for each in resource.attributes if each.key == "service.name")


@first_always(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; here it may be otlp or none."),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "The protocol 'http/json' of OTLP is not known here; use http/protobuf or grpc.",
        ),
        (
            {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "and opentelemetry-exporter-otlp-proto-grpc is missing: pip install",
        ),
    ],
)
def test_what_otel_variables_ask_for_in_vain_is_said(team: Path, environ: dict[str, str], said: str) -> None:
    done = run("run", team, "go", **environ)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_sdk_that_somebody_has_set_up_is_used_whatever_the_variables_say(team: Path) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="The SDK of OpenTelemetry is not installed.")
    program = """
import os, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + os.linesep)))
trace.set_tracer_provider(provider)
sys.argv[0] = "subactors"
from subactors.runtime.cli.main import run_command_line
run_command_line()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "run", team, "go"],
        env={**os.environ, "PYTHONPATH": str(KIT), "OTEL_TRACES_EXPORTER": "zipkin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "invoke_agent worker\n" in done.stdout
