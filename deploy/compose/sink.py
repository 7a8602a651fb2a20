"""`python -m deploy.compose.sink`: the demo's receiver of webhooks; it keeps the last ones in memory and shows them."""

import json
import sys
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

PORT: Final = 8099
MAX_BODY_BYTES: Final = 1_000_000
KEPT: Final = 100

received: Final[deque[str]] = deque(maxlen=KEPT)


class Sink(BaseHTTPRequestHandler):
    """POST keeps a body, GET /received shows all of them, the oldest first."""

    timeout = 10

    def do_POST(self) -> None:
        """Answers 204, or 413 for what is too long."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.send_error(413)
            return
        received.append(self.rfile.read(int(length)).decode(errors="replace"))
        self.send_response(204)
        self.end_headers()

    def do_GET(self) -> None:
        """Answers the bodies as a JSON list."""
        if self.path != "/received":
            self.send_error(404)
            return
        body = json.dumps(list(received)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs nothing: bodies and addresses are people's."""


def main() -> int:
    """Serves until it is ended."""
    ThreadingHTTPServer(("", PORT), Sink).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
