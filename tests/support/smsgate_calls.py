"""The app's calls one by one, where a test decides itself when a phone asks and what it says."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from agent.smsgate import signature
from agent.smsgate.facts import REST_AGENT
from tests.support import http

SIMS = [
    {"slotIndex": 0, "simNumber": 1, "phoneNumber": "0001", "carrierName": "one"},
    {"slotIndex": 1, "simNumber": 2, "phoneNumber": "0002", "carrierName": "two"},
]


class Caller:
    """A phone that does nothing by itself."""

    def __init__(self, url: str, private_token: str | None = None) -> None:
        self.url = url
        self.token = private_token
        self.device = ""
        self.agent = REST_AGENT

    async def call(self, method: str, path: str, told: Any = None, prefix: str = "/mobile/v1") -> http.Response:
        """One call with its token."""
        headers = {"User-Agent": self.agent}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        body = b"" if told is None else told if isinstance(told, bytes) else json.dumps(told).encode()
        return await http.ask(self.url, method, prefix + path, body=body, headers=headers)

    async def register(self, sims: list[dict[str, Any]] | None = None) -> "Caller":
        """Becomes a device by its enrolment key."""
        answer = await self.call("POST", "/device", {"name": "Maker/model", "simCards": SIMS if sims is None else sims})
        assert answer.status == 201, answer
        self.device, self.token = answer.json()["id"], answer.json()["token"]
        return self

    async def pull(self) -> list[dict[str, Any]]:
        """Its list."""
        answer = await self.call("GET", "/message?order=fifo")
        assert answer.status == 200, answer
        items: list[dict[str, Any]] = answer.json()
        return items

    async def say(self, message: str, state: str, error: str | None = None, **times: float) -> None:
        """One state of a message; `times` are those of earlier states."""
        told = {name: moment(at) for name, at in {state: time.time(), **times}.items()}
        recipient = {"phoneNumber": "+1", "state": state, **({"error": error} if error else {})}
        item = {"id": message, "state": state, "recipients": [recipient], "states": told}
        answer = await self.call("PATCH", "/message", [item])
        assert answer.status == 204, answer

    async def hook(self, event: str) -> str | None:
        """The URL that it is to post this event to."""
        hooks = (await self.call("GET", "/webhooks")).json()
        return next((each["url"] for each in hooks if each["event"] == event), None)

    async def post(
        self, url: str, event: str, payload: dict[str, Any], *, key: str | None, id: str = "e1", **more: Any
    ) -> http.Response:
        """A webhook call, signed with this key."""
        body = json.dumps(
            {"id": id, "webhookId": "w", "event": event, "deviceId": self.device, "payload": payload} | more
        )
        headers = {} if key is None else signature.headers(key, body.encode(), int(time.time()))
        return await http.ask(self.url, "POST", url.removeprefix(self.url), body=body.encode(), headers=headers)

    async def signing_key(self) -> str:
        """What it was told to sign with."""
        return str((await self.call("GET", "/settings")).json()["webhooks"]["signing_key"])

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator["Events"]:
        """An open stream of events."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        events = Events(reader)
        try:
            head = f"GET /mobile/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {self.token}\r\n\r\n"
            writer.write(head.encode())
            await events.open()
            yield events
        finally:
            writer.transport.abort()


class Events:
    """The phone's end of a stream."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.status = 0

    async def open(self) -> None:
        """Reads the head."""
        async with asyncio.timeout(5):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        self.status = int(head.split(" ")[1])
        assert self.status != 200 or "text/event-stream" in head

    async def next(self, within_s: float = 5.0) -> tuple[str, Any] | None:
        """The next event with its data, None at the end. Raises TimeoutError."""
        name = ""
        async with asyncio.timeout(within_s):
            while line := (await self._reader.readline()).decode():
                field, _, value = line.rstrip("\r\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    return name, json.loads(value)
        return None


def moment(unix_s: float) -> str:
    """A time as the app writes it, in the local time of a phone two hours east."""
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s + 7200))
    return f"{local}.{int(unix_s * 1000) % 1000:03d}+02:00"
