"""Structured logs on standard error, one line an event, with the service's name; never texts, numbers or secrets."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog

MASK: Final = "***"

KEPT: Final = frozenset({"timestamp", "level", "service"})
"""Fields that this module fills itself."""

SECRET_FIELDS: Final = frozenset(
    {"apikey", "authorization", "body", "message", "number", "password", "recipients", "secret", "text", "token", "url"}
)
"""Fields of these names are masked whole, should anybody log them by mistake."""

_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # What Postgres and its driver quote from the values that they refuse.
    (re.compile(r"(invalid input for query argument \$\d+: ).*", re.DOTALL), rf"\g<1>{MASK}"),
    (re.compile(r"(DETAIL: ).*"), rf"\g<1>{MASK}"),
    # A query string carries keys, numbers and texts.
    (re.compile(r"\?[^\s?\"'<>]*=[^\s\"'<>]*"), f"?{MASK}"),
    # Who has a capability may post in its phone's name.
    (re.compile(r"(/device-in/v1/)[^\s/\"'?{}]+"), r"\g<1>{capability}"),
)

_NUMBERS: Final[tuple[re.Pattern[str], ...]] = (
    # As E.164 writes them, or as people do behind a plus; percent-encoded ones too.
    re.compile(r"(?:\+|%2[Bb])\d(?:[ ().-]{0,2}\d){6,17}"),
    # Digits alone, unless they are part of an id: those hold letters, or are longer than any number.
    re.compile(r"(?<![\w.+-])\d{7,15}(?![\w-])(?!\.\d)"),
)


def masked(text: str) -> str:
    """The text without query strings, capabilities and phone numbers; of a number its last 4 characters stay."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    for pattern in _NUMBERS:
        text = pattern.sub(_last_four, text)
    return text


def _last_four(number: re.Match[str]) -> str:
    return MASK + "".join(letter for letter in number[0] if letter.isdigit())[-4:]


def mask(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """A structlog processor, the last before the renderer: masks every value, in whatever field it stands."""
    return {name: value if name in KEPT else _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: Any) -> Any:
    if name.lower() in SECRET_FIELDS and value is not None:
        return MASK
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return masked(value)
        case Mapping():
            return {masked(str(key)): _shown(str(key), each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(name, each) for each in value]
        case _:
            return masked(repr(value))


def configure_logging(service: str, level: str) -> None:
    """Sends structlog and the standard library's loggers through one JSON renderer at `level` (debug to error)."""
    numeric = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                mask,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(numeric)
    for noisy in ("httpx", "asyncio", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
