"""A function that is instrumented with OpenTelemetry's own SDK, and knows nothing of Hob."""
import logging
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

spans = TracerProvider()
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
records = LoggerProvider()
records.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
tracer = spans.get_tracer("shop.cart")
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(LoggingHandler(logger_provider=records))


class Function(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.work(200)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        # An event: the first two attempts fail.
        self.work(500 if int(self.headers.get("hob-attempt", "9")) < 3 else 200)

    def work(self, status):
        context = TraceContextTextMapPropagator().extract(dict(self.headers.items()))
        with tracer.start_as_current_span("reckon", context=context) as span:
            span.set_attribute("items", 3)
            log.warning("reckoned %s", "slowly", extra={"items": 3})
            try:
                with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT):
                    raise ValueError("no such table")
            except ValueError:
                pass
        spans.force_flush()
        records.force_flush()
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *rest):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Function).serve_forever()
