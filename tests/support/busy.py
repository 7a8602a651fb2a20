"""Programs that never stop sending through the edge, by POST and by GET; each answer is written down as it came."""

import asyncio
import itertools
import json
import ssl
import time
from collections import Counter
from pathlib import Path

from tests.support.edge import Edge
from tests.support.http import FORM, LONGEST_HEAD, Broken, Connection, Response, form, query

ANSWER_S = 30.0
READ_EVERY = 10
"""After so many sends a program reads its log."""


class Busy:
    """Several programs, each sending one unique text after the other."""

    def __init__(self, edge: Edge, key: str, name: str, answers: Path, callers: int, per_s: float) -> None:
        """`answers` gets a JSON line for each send, as Load writes it. `per_s`: sends a second of all together."""
        self._edge = edge
        self._key = key
        self._name = name
        self._file = answers
        self._callers = callers
        self._pause_s = callers / per_s
        self._numbers = itertools.count(1)
        self._context = ssl.create_default_context(cafile=edge.root)
        self._over = asyncio.Event()
        self.sent = 0
        self.ends: Counter[str] = Counter()
        """How all requests ended, those that read too: by status, or `broken`."""
        self.slowest_s = 0.0
        self.failures: list[str] = []
        """When and how requests ended that were not answered 200."""
        self.refused: list[tuple[float, float]] = []
        """From when to when each send lasted that was not accepted, by the event loop's clock."""

    async def run(self) -> None:
        """Sends until it is over."""
        with self._file.open("a") as self._out:
            await asyncio.gather(*(self._caller(each) for each in range(self._callers)))

    def end(self) -> None:
        """No more sends are begun."""
        self._over.set()

    async def _caller(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        connection: Connection | None = None
        due = loop.time() + number * self._pause_s / self._callers
        try:
            for turn in itertools.count(number):
                # The pace of the load.
                due = max(due + self._pause_s, loop.time())
                try:
                    async with asyncio.timeout_at(due):
                        await self._over.wait()
                    return
                except TimeoutError:
                    pass
                if connection is None:
                    connection = await self._connected()
                if not await (
                    self._read(connection) if turn % READ_EVERY == 0 else self._send(connection, turn % 2 == 0)
                ):
                    await connection.close()
                    connection = None
        finally:
            if connection is not None:
                await connection.close()

    async def _connected(self) -> Connection:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._edge.port, ssl=self._context, server_hostname="localhost", limit=LONGEST_HEAD
        )
        return Connection(reader, writer, f"localhost:{self._edge.port}")

    async def _send(self, connection: Connection, by_get: bool) -> bool:
        """Whether the connection can be used again."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        text = f"{self._name} {next(self._numbers):05}"
        self.sent += 1
        told = {"apikey": self._key, "recipients": "+15556660000", "message": text}
        if by_get:
            answer = await self._asked(connection, "GET", query("/sendsms/", **told))
        else:
            answer = await self._asked(connection, "POST", "/sendsms/", form(**told))
        if answer is None or answer.status != 200:
            self.refused.append((began, loop.time()))
        line = {"text": text, "status": answer and answer.status, "body": answer and answer.body.decode()}
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()
        return answer is not None and answer.headers.get("connection") != "close"

    async def _read(self, connection: Connection) -> bool:
        answer = await self._asked(connection, "GET", query("/log/sent/sms/", apikey=self._key, limit=1))
        return answer is not None and answer.headers.get("connection") != "close"

    async def _asked(self, connection: Connection, method: str, target: str, body: bytes = b"") -> Response | None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await connection.request(method, target, body, FORM if body else None)
        except (Broken, OSError, TimeoutError):
            self.ends["broken"] += 1
            self.failures.append(f"{time.time():.2f} {method} broken")
            return None
        finally:
            self.slowest_s = max(self.slowest_s, loop.time() - began)
        self.ends[str(answer.status)] += 1
        if answer.status != 200:
            self.failures.append(f"{time.time():.2f} {method} {answer.status} {answer.body[:200]!r}")
        return answer
