"""Spans of time as commands take them, 90s, 15m, 12h, 30d, and moments."""

import argparse
import time

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def span(text: str) -> int:
    """The span in seconds. Raises ArgumentTypeError."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time such as 90s, 15m, 12h or 30d")
    return int(number) * _UNITS[unit]


def span_or_never(text: str) -> int | None:
    """The same, and None for `never`. Raises ArgumentTypeError."""
    return None if text == "never" else span(text)


def moment_or_ago(text: str) -> float:
    """Unix seconds of an ISO 8601 time, which is this machine's without an offset, or of so long ago.

    Raises ArgumentTypeError.
    """
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        return time.time() - span(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time such as 2026-12-24T18:00:00+01:00, nor a span such as 24h ago"
        ) from None


def add_expiry(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds `--expires-in`, kept as `lives_s`."""
    parser.add_argument(
        "--expires-in",
        dest="lives_s",
        type=span_or_never,
        default=default,
        metavar="SPAN",
        help=f"such as 12h or 30d, or never (default: {default})",
    )


def add_overlap(parser: argparse.ArgumentParser) -> None:
    """Adds `--overlap`, kept as `overlap_s`."""
    parser.add_argument(
        "--overlap",
        dest="overlap_s",
        type=span,
        default=0,
        metavar="SPAN",
        help="how long the one before stays valid, such as 24h (default: it ends at once)",
    )
