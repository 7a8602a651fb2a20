"""What every answer of the dashboard tells the browser to refuse: foreign scripts, frames, guesses and caches."""

from typing import Any, Final

from litestar import Response

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""CSP Level 3. Nothing inline: a chart or a QR code is coloured by classes and attributes."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Forms need their Origin, which "no-referrer" would take away.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def guarded(answer: Response[Any]) -> Response[Any]:
    """The answer with these headers; kept by no cache unless it says otherwise, as static files do."""
    answer.headers.update(HEADERS)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer
