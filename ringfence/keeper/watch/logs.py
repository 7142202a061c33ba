"""A keeper's log: JSON lines for machines, columns for people, and no secrets in either."""

from __future__ import annotations

from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from ringfence.keeper.watch.redact import redact

_SECRET = {"password", "passphrase", "secret", "private_key", "mnemonic", "api_key", "webhook"}


def open_log(stream: TextIO, *, as_json: bool, level: str = "info") -> FilteringBoundLogger:
    """Return a log that writes each event to a stream as one line; it sets nothing global.

    Values are redacted, exceptions and their tracebacks too.
    """
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redacted,
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty()),
    ]
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log


def _redacted(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: "…" if key in _SECRET else _clean(value) for key, value in event.items()}


def _clean(value: object) -> object:
    """Return a value whose text is redacted, at any depth; what JSON has no word for, as text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): "…" if key in _SECRET else _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    return redact("0x" + value.hex() if isinstance(value, bytes) else str(value))
