"""Many callers at once: sends unique texts over keep-alive connections and writes down each answer as it came."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.http import FORM, Broken, Connection, connect, form

CALLERS = 32
RECONNECT_S = 0.05


class Load:
    """Sends each text once. A send whose connection broke or that was refused is not repeated."""

    def __init__(self, base_url: str, key: str, texts: Sequence[str], answers: Path) -> None:
        """`answers` gets a JSON line for each send: text, status, body (both null when no answer came)."""
        self._base_url = base_url
        self._key = key
        self._waiting = deque(texts)
        self._file = answers
        self._watchers: list[tuple[int, Callable[[], object]]] = []
        self.ended = 0
        """Sends that came to an end, with or without an answer."""
        self.accepted = 0
        self.unanswered = 0
        """Requests that are on their way now."""

    def after(self, sends: int, do: Callable[[], object]) -> None:
        """Calls `do` at the moment when this many sends have come to an end."""
        self._watchers.append((sends, do))

    async def run(self) -> None:
        """Returns when every text was sent."""
        with self._file.open("a") as self._out:
            await asyncio.gather(*(self._caller() for _ in range(CALLERS)))

    async def _caller(self) -> None:
        connection: Connection | None = None
        try:
            while self._waiting:
                # Before a text is taken: a connection that cannot be made is no send.
                if connection is None:
                    connection = await self._connected()
                if self._waiting and not await self._send(connection, self._waiting.popleft()):
                    await connection.close()
                    connection = None
        finally:
            if connection is not None:
                await connection.close()

    async def _connected(self) -> Connection:
        while True:
            with contextlib.suppress(OSError):
                return await connect(self._base_url)
            await asyncio.sleep(RECONNECT_S)

    async def _send(self, connection: Connection, text: str) -> bool:
        """Whether the connection can be used again."""
        body = form(apikey=self._key, recipients="+15556660000", message=text)
        self.unanswered += 1
        try:
            answer = await connection.request("POST", "/sendsms/", body=body, headers=FORM)
        except Broken:
            self._note(text, None, None)
            return False
        finally:
            self.unanswered -= 1
        self.accepted += answer.status == 200
        self._note(text, answer.status, answer.body.decode())
        return answer.headers.get("connection") != "close"

    def _note(self, text: str, status: int | None, body: str | None) -> None:
        self._out.write(json.dumps({"text": text, "status": status, "body": body}) + "\n")
        self._out.flush()
        self.ended += 1
        due = [do for sends, do in self._watchers if sends == self.ended]
        for do in due:
            do()
