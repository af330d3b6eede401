"""Traces of publications with OpenTelemetry (extra ``otel``).

A publish request with a ``traceparent`` header becomes one span: from the request to the last
write of its fan-out, however many recipients it has. The SDK's ``OTEL_*`` variables configure the
rest. Without them no request passes through this module.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from gateway import __version__
from gateway.contract import PUBLISH_PATH
from gateway.errors import SettingsError
from gateway.server.log import TRACE_ID, get_logger

if TYPE_CHECKING:
    from aiohttp import web
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SPAN: Final = f"POST {PUBLISH_PATH}"
WhenSent = Callable[[Callable[[], None]], None]
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_PACKAGES: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_SERVER_ERROR: Final = 500
_CLOSE_S: Final = 2.0

log = get_logger(__name__)


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for traces, as the SDK's variables say it."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get(_EXPORTER, "").strip().lower()
    return exporter == "otlp" or (not exporter and any(map(environ.get, _ENDPOINTS)))


def require_packages() -> None:
    """Return if traces can be exported.

    Raises:
        SettingsError: the extra ``otel`` is not installed.
    """
    missing = [name for name in _PACKAGES if not _is_installed(name)]
    if missing:
        words = (
            f"{', '.join((*_ENDPOINTS, _EXPORTER))}: one asks for traces, and the module "
            f"{missing[0]} is missing; install the extra: pip install 'tidegate[otel]'"
        )
        raise SettingsError([words])


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        return False


def make_tracing(environ: Mapping[str, str]) -> Tracing | None:
    """Return what traces publications and exports them by OTLP over HTTP; None when not asked to.

    Raises:
        SettingsError: the extra ``otel`` is not installed.
    """
    if not is_wanted(environ):
        return None
    require_packages()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource.create({SERVICE_NAME: "tidegate"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


class Tracing:
    """Makes a span of each publish request that belongs to a trace.

    Args:
        provider: of the SDK; samples and exports.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("tidegate", __version__)

    def traced(self, handle: Handler, when_sent: WhenSent) -> Handler:
        """Return a handler of requests that also makes their spans.

        Args:
            handle: the handler.
            when_sent: calls a function once all that is queued now has been sent.
        """
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, format_trace_id, get_current_span

        async def trace(request: web.Request) -> web.StreamResponse:
            parent = extract(request.headers)
            if not get_current_span(parent).get_span_context().is_valid:
                return await handle(request)
            span = self._tracer.start_span(SPAN, context=parent, kind=SpanKind.SERVER)
            held = TRACE_ID.set(format_trace_id(span.get_span_context().trace_id))
            try:
                answer = await handle(request)
                log.debug("traced publication", status=answer.status)
            except BaseException as error:
                span.record_exception(error)
                span.end()
                raise
            finally:
                TRACE_ID.reset(held)
            _describe(span, answer.status)
            when_sent(span.end)
            return answer

        return trace

    async def close(self) -> None:
        """Export what is left, for two seconds at most: the collector may be away."""
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()

        def close() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(closed.set)

        # A daemon: the process does not wait for a collector that does not answer.
        threading.Thread(target=close, daemon=True).start()
        try:
            await asyncio.wait_for(closed.wait(), _CLOSE_S)
        except TimeoutError:
            log.warning("traces not exported", waited_s=_CLOSE_S)


def _describe(span: Span, status: int) -> None:
    from opentelemetry.trace import Status, StatusCode

    facts: dict[str, Any] = {
        "http.request.method": "POST",
        "http.route": PUBLISH_PATH,
        "http.response.status_code": status,
    }
    span.set_attributes(facts)
    if status >= _SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR))
