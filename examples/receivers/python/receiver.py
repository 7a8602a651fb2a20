"""Receives SMSFleet's webhooks: checks who sent them and when, does nothing twice, and prints what came.

    WEBHOOK_SECRET=whsec_... python receiver.py 8000

Needs nothing but Python 3.9 or newer.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRETS = os.environ["WEBHOOK_SECRET"].split()  # two of them while a new one replaces an old one
MAX_SKEW_S = 300
MAX_BODY_BYTES = 1_000_000

seen: set[str] = set()  # in your program: a table with a unique column, so that it outlives the program


def signature(secret: str, signed: bytes) -> bytes:
    """What the sender made with this secret."""
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    return b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())


def is_trusted(headers: Message, body: bytes) -> bool:
    """Whether somebody who knows a secret signed exactly these bytes within the last minutes."""
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or len(timestamp) > 12 or abs(time.time() - int(timestamp)) > MAX_SKEW_S:
        return False
    signed = f"{headers.get('webhook-id', '')}.{timestamp}.".encode() + body
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(signature(secret, signed), each) for secret in SECRETS for each in given)


class Receiver(BaseHTTPRequestHandler):
    """Answers 202 to what is new, 200 to what it knows, 401 to what it does not trust."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        """One webhook. The bytes are checked before anything in them is believed."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 7 or int(length) > MAX_BODY_BYTES:
            self.answer(413)
            self.close_connection = True  # what follows on it would be the body
            return
        body = self.rfile.read(int(length))
        if not is_trusted(self.headers, body):
            self.answer(401)
        elif self.headers["webhook-id"] in seen:
            self.answer(200)
        else:
            seen.add(self.headers["webhook-id"])
            self.answer(202)  # first the answer, then the work: the sender waits 15 seconds at most
            print(json.dumps(json.loads(body), ensure_ascii=False), flush=True)

    def answer(self, status: int) -> None:
        """Sends a status, which is all that the sender looks at."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Prints events, not requests."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
