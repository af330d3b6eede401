"""An OTLP receiver over HTTP: keeps the spans and metrics that exporters send it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class OtlpReceiver:
    """What arrived, and where to send it.

    Attributes:
        url: for ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        services: the services that sent spans.
        spans: in order of arrival.
        metrics: the newest of each name.
    """

    def __init__(self) -> None:
        receiver = self

        class Receive(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                pass

        self.services: set[str] = set()
        self.spans: list[Span] = []
        self.metrics: dict[str, Metric] = {}
        self.server = HTTPServer(("127.0.0.1", 0), Receive)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {a.key: a.value.string_value for a in traced.resource.attributes}
                self.services.add(named["service.name"])
                for spans in traced.scope_spans:
                    self.spans += spans.spans
        elif path == "/v1/metrics":
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metrics in measured.scope_metrics:
                    self.metrics |= {each.name: each for each in metrics.metrics}


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Receive in a thread until the end of the block."""
    found = OtlpReceiver()
    thread = Thread(target=found.server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        thread.join()
        found.server.server_close()
