"""A steady load: so many sends a second for as long as a disturbance lasts, each answer written down as it came."""

import asyncio
import itertools
import json
import ssl
from collections.abc import Callable
from pathlib import Path

from tests.support.http import FORM, Broken, ask, form

ANSWER_S = 20.0


class Steady:
    """Sends unique texts, each on a connection of its own, however slow the answers come."""

    def __init__(self, base_url: str, key: str, name: str, answers: Path, tls: ssl.SSLContext | None = None) -> None:
        """`answers` gets a JSON line for each send, as Load writes it, with `at`, Unix seconds of its beginning."""
        self._base_url = base_url
        self._key = key
        self._tls = tls
        self._name = name
        self._file = answers
        self._numbers = itertools.count(1)
        self.sent = 0
        """Sends that were begun."""
        self.accepted = 0

    async def run(self, least: int, per_s: float, more: Callable[[], bool] = lambda: False) -> None:
        """Sends `least` texts, and goes on while `more()`; returns when every send has ended."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with self._file.open("a") as self._out:
            async with asyncio.TaskGroup() as sends:
                count = 0
                while count < least or more():
                    sends.create_task(self._send(f"{self._name} {next(self._numbers):05}"))
                    count += 1
                    self.sent += 1
                    # The pace of the load.
                    await asyncio.sleep(max(0.0, begun + count / per_s - loop.time()))

    async def _send(self, text: str) -> None:
        body = form(apikey=self._key, recipients="+15556660000", message=text)
        status: int | None = None
        said: str | None = None
        try:
            answer = await ask(self._base_url, "POST", "/sendsms/", ANSWER_S, tls=self._tls, body=body, headers=FORM)
            status, said = answer.status, answer.body.decode()
        except (Broken, OSError, TimeoutError):
            pass
        self.accepted += status == 200
        self._out.write(json.dumps({"text": text, "status": status, "body": said}) + "\n")
        self._out.flush()
