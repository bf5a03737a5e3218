"""A collector that takes only what the official messages know, and tells what it has on GET /seen."""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}
seen = {"spans": [], "logs": [], "metrics": [], "wrong": []}


def unknown(message):
    """Names of messages that hold fields which nobody knows."""
    found = [message.DESCRIPTOR.name] if len(UnknownFieldSet(message)) else []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in value if isinstance(value, (list, tuple)) or hasattr(value, "add") else [value]:
            found += unknown(inner)
    return found


def value(any_value):
    kind = any_value.WhichOneof("value")
    plain = getattr(any_value, kind) if kind else None
    return plain if isinstance(plain, (str, bool, int, float, type(None))) else MessageToDict(any_value)


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


def take_span(who, span):
    seen["spans"].append({
        "who": who, "name": span.name, "kind": span.kind, "trace": span.trace_id.hex(), "span": span.span_id.hex(),
        "parent": span.parent_span_id.hex(), "took_us": (span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
        "attributes": attributes(span.attributes), "links": [link.span_id.hex() for link in span.links],
        "events": [event.name for event in span.events], "status": span.status.code, "message": span.status.message,
    })


def take_log(who, record):
    seen["logs"].append({
        "who": who, "text": value(record.body), "severity": record.severity_number, "word": record.severity_text,
        "trace": record.trace_id.hex(), "span": record.span_id.hex(), "event": record.event_name,
        "attributes": attributes(record.attributes),
    })


def take_metric(who, metric):
    kind = metric.WhichOneof("data")
    seen["metrics"].append({"who": who, "name": metric.name, "unit": metric.unit, "kind": kind,
                            "points": len(getattr(metric, kind).data_points)})


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, "application/json", json.dumps(seen).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        request = REQUESTS[self.path]()
        request.ParseFromString(body)
        seen["wrong"] += unknown(request)
        for resource in [*getattr(request, "resource_spans", []), *getattr(request, "resource_logs", []),
                         *getattr(request, "resource_metrics", [])]:
            who = attributes(resource.resource.attributes)
            for scope in getattr(resource, "scope_spans", []):
                for span in scope.spans:
                    take_span(who, span)
            for scope in getattr(resource, "scope_logs", []):
                for record in scope.log_records:
                    take_log(who, record)
            for scope in getattr(resource, "scope_metrics", []):
                for metric in scope.metrics:
                    take_metric(who, metric)
        self.answer(200, "application/x-protobuf", b"")

    def answer(self, status, media, body):
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *rest):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
sys.stdout.close()
server.serve_forever()
