"""Random parameter sets, bodies and encodings: never a 5xx, never an undocumented status, and no change unasked for."""

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from tests.contract.conftest import Account, World
from tests.support import scale
from tests.support.http import Broken, Connection, Response, ask, connect
from tests.support.system import MOST_ROWS, System
from tests.support.transcripts import ZONE
from tests.support.waiting import until

REQUESTS = scale.scaled(small=500, one=2000, full=20_000)
CALLERS = 12
ANSWER_S = 15.0
NO_ANSWER_S = 0.2
"""How long an incomplete request is kept waiting before its connection is closed."""

NASTY: list[bytes] = [
    b"", b" ", b"\0", b"a\0b", b"%", b"%%00", b"+", b"\r\n", b"\xff\xfe", b"\xed\xa0\x80", b"\xed\xb0\x80\xed\xa0\xbd",
    b"\xc0\x80", b"\xf4\x90\x80\x80", "🙂".encode(), "ж".encode() * 80, "٣٤٥٦٧٨٩".encode(), "\u202e\u200d".encode(),
    b"0", b"1", b"2", b"-1", b"1e9", b"NaN", b"Infinity", b"0x10", b"1.5", b"\xc2\xb2", b"9" * 400, b"-" * 100,
    b"2147483648", b"-2147483649", b"9223372036854775808", b"99999999999999999999999999", b"253402300800",
    b"1970-01-01", b"2026-02-30", b"9999-12-31", b"10000-01-01", b"0000-00-00", b"-0001-01-01", b"2026-11-22T10:00:00",
    b"0" * 40, b"f" * 40, b"F" * 40, b"z" * 40, b"0" * 41, b"00000000-0000-0000-0000-000000000000",
    b"x" * 21, b"yes", b"no", b"true", b"null", b"[]", b"{}", b"'; drop table messages; --", b"${7*7}", b"../../etc",
    b"https://127.0.0.1:9/x", b"+15550000001", b"15550000001,15550000002", b",;,", b"\\", b"_", b"%25", b"a" * 5000,
]  # fmt: skip
"""Values of parameters, before any encoding."""

STRANGE_TYPES = [
    "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=cut", "multipart/form-data",
    "text/plain", "application/json; charset=utf-16", "multipart/form-data; boundary=",
    "application/octet-stream", "\xff",
]  # fmt: skip
"""Content types, which need not fit the body."""


@dataclass
class Tally:
    """What the callers were told that has happened."""

    statuses: Counter[int] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    canceled: set[str] = field(default_factory=set)
    deleted: int = 0
    unanswered: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """A request as bytes, and what is known of it."""

    path: str
    method: str
    raw: bytes
    cut: bool
    """Its body is longer or shorter than it says: the connection cannot be used again."""
    whole: bool
    """Otherwise the body never comes to its end: no answer is wanted."""


class Maker:
    """Makes random requests from a seed."""

    def __init__(self, rng: random.Random, paths: dict[str, list[str]], account: Account, own: list[bytes]) -> None:
        """`paths`: the parameters of each path; `own`: values that mean something to this account."""
        self._rng = rng
        self._paths = paths
        self._account = account
        self._own = own

    def request(self) -> Asked:
        """The next one."""
        rng = self._rng
        path = rng.choice([path for path in self._paths for _ in range(4 if "sendsms" in path else 1)])
        method = rng.choice(["GET"] * 8 + ["POST"] * 10 + ["PUT", "DELETE", "PATCH", "OPTIONS"])
        pairs = self._pairs(path)
        in_query = [pair for pair in pairs if method != "POST" or rng.random() < 0.5]
        in_body = [pair for pair in pairs if pair not in in_query] if rng.random() < 0.9 else pairs
        headers: list[tuple[str, str]] = [("Host", "api.smsmobileapi.com")]
        self._add_credentials(in_query, headers)
        if rng.random() < 0.1:
            printable = [each for each in NASTY if each.isascii() and each.decode().isprintable()]
            headers.append(("Idempotency-Key", rng.choice(printable)[:300].decode()))
        kind, body = self._body(in_body) if method != "GET" or rng.random() < 0.1 else (None, b"")
        if kind is not None and rng.random() < 0.95:
            headers.append(("Content-Type", rng.choice(STRANGE_TYPES) if rng.random() < 0.1 else kind))
        cut = bool(body) and rng.random() < 0.05
        length = rng.randrange(len(body)) if cut and rng.random() < 0.5 else len(body) + cut * rng.randrange(1, 99)
        if body or rng.random() < 0.3:
            headers.append(("Content-Length", str(length)))
        query = b"&".join(self._encoded(name) + b"=" + self._encoded(value) for name, value in in_query)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
        target = path.encode() + (b"?" + query if query else b"")
        return Asked(
            path, method, b"%s %s HTTP/1.1\r\n%s\r\n" % (method.encode(), target, head) + body, cut, length <= len(body)
        )

    def _pairs(self, path: str) -> list[tuple[bytes, bytes]]:
        rng = self._rng
        names = [name for name in self._paths[path] if name != "apikey"]
        pairs = {name.encode(): self._value(name) for name in rng.sample(names, rng.randint(0, min(3, len(names))))}
        if "recipients" in names and rng.random() < 0.8:
            pairs |= {b"recipients": b"+15550000001", b"message": b"random"}
        for _ in range(rng.choice([0, 0, 0, 0, 1, 2])):
            pairs[rng.choice(NASTY)[:50]] = self._value()
        return list(pairs.items())

    def _value(self, name: str = "") -> bytes:
        rng = self._rng
        chosen = rng.random()
        if chosen < (0.4 if name.startswith(("guid", "date")) else 0.1):
            return rng.choice(self._own)
        if chosen < 0.9:
            return rng.choice(NASTY)
        if chosen < 0.93:
            return rng.randbytes(rng.randrange(40))
        return str(rng.randrange(-(10**12), 10**12)).encode()

    def _add_credentials(self, pairs: list[tuple[bytes, bytes]], headers: list[tuple[str, str]]) -> None:
        chosen = self._rng.random()
        if chosen < 0.6:
            pairs.append((b"apikey", self._account.key.encode()))
        elif chosen < 0.85:
            headers.append(("Authorization", f"Bearer {self._account.key}"))
        elif chosen < 0.95:
            pairs.append((b"apikey", self._value()))
        else:
            headers.append(("Authorization", self._rng.choice(["Bearer", "Bearer  ", "Basic x", "\xff\xfe", ""])))

    def _body(self, pairs: list[tuple[bytes, bytes]]) -> tuple[str, bytes]:
        rng = self._rng
        chosen = rng.random()
        if chosen < 0.5:
            encode = self._encoded if rng.random() < 0.8 else bytes
            joined = b"&".join(encode(name) + b"=" + encode(value) for name, value in pairs)
            return "application/x-www-form-urlencoded", joined
        if chosen < 0.75:
            return "application/json", self._json(pairs)
        if chosen < 0.9:
            parts = [b'--cut\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % pair for pair in pairs]
            return "multipart/form-data; boundary=cut", b"".join(parts) + b"--cut--\r\n" * (rng.random() < 0.9)
        return "text/plain", rng.randbytes(rng.randrange(300))

    def _json(self, pairs: list[tuple[bytes, bytes]]) -> bytes:
        rng = self._rng
        others: list[Any] = [None, True, 1, -1.5, 10**400, [], ["+15550000001"], {"a": {}}, "\ud800", "a\0b"]
        fields = {
            name.decode("utf-8", "surrogatepass" if rng.random() < 0.2 else "replace"): value.decode("utf-8", "replace")
            if rng.random() < 0.7
            else rng.choice(others)
            for name, value in pairs
            if not name.startswith((b"\xc0", b"\xf4", b"\xff"))
        }
        text = json.dumps(fields, ensure_ascii=True).encode()
        return text[: rng.randrange(len(text))] if rng.random() < 0.1 else text

    def _encoded(self, value: bytes) -> bytes:
        """Percent-encoded: as browsers do it, all of it, or too little but still a target that HTTP lets through."""
        chosen = self._rng.random()
        if chosen < 0.6:
            return quote_from_bytes(value).encode()
        if chosen < 0.8:
            return b"".join(b"%%%02x" % byte for byte in value)
        return quote_from_bytes(value, safe="!$'()*,;:@/?%+").encode()


@pytest.fixture(scope="module")
async def documented(system: System) -> dict[str, dict[str, Any]]:
    """The paths of the dialect as the document tells them."""
    document = (await ask(system.base_url, "GET", "/openapi.json")).json()
    return {
        path: item
        for path, item in document["paths"].items()
        if {"get", "post"} <= set(item) and not path.startswith("/v1/")
    }


async def everything(world: World, account: Account) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All rows of both logs."""
    found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for rows, read in zip(found, (world.system.log, world.system.inbox), strict=True):
        while page := await read(account.key, limit=MOST_ROWS, offset=len(rows)):
            rows += page
    return found


async def belongings(world: World, accounts: list[Account]) -> list[Any]:
    """Accounts, keys and phones."""
    told: list[Any] = [len((await world.system.cli("account", "list"))["accounts"])]
    for account in accounts:
        keys = (await world.system.cli("key", "list", "--account", account.name))["keys"]
        devices = (await world.system.cli("phone", "list", "--account", account.name))["devices"]
        told += [[key["id"] for key in keys], [device["id"] for device in devices]]
    return told


@pytest.mark.timeout(900)
async def test_random_requests_change_nothing_unasked(
    world: World, documented: dict[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    start = scale.seed()
    account, bystander = await world.fresh("random"), await world.fresh("bystander")
    for each in (account, bystander):
        assert each.phone is not None
        await each.phone.receive("+15550000009", "received")
    await world.system.send("bystander's", key=bystander.key)
    guid = await world.system.send("own", key=account.key, schedule_timestamp=int(time.time()) + 86_400)

    async def settled() -> bool:
        logs = [await everything(world, each) for each in (account, bystander)]
        return all(len(sent) == len(received) == 1 for sent, received in logs) and logs[1][0][0]["status"] == "Success"

    await until(settled, "both accounts have what they start with")
    assert account.phone is not None
    # Nothing shall be sent: what is accepted waits for the phone.
    await account.phone.__aexit__()
    (received,) = await world.system.inbox(account.key)
    before, others = await everything(world, bystander), await belongings(world, [account, bystander])

    today = datetime.now(ZONE).strftime("%Y-%m-%d")
    own = [each.encode() for each in (guid, received["guid"], account.device, secrets.token_hex(8), today, "1")]
    parameters = {
        path: [each["name"] for each in item["get"]["parameters"] if each["in"] == "query"]
        for path, item in documented.items()
    }
    maker = Maker(random.Random(start), parameters, account, own)
    tally = Tally()
    requests = iter([maker.request() for _ in range(REQUESTS)])
    await asyncio.gather(*(_caller(world.system.base_url, requests, documented, tally) for _ in range(CALLERS)))

    with capsys.disabled():
        print(f"\n  {REQUESTS} random requests, seed {start}: {dict(sorted(tally.statuses.items()))},")
        print(f"  {len(tally.accepted)} messages accepted, {tally.deleted} deleted, {len(tally.unanswered)} unanswered")
    assert not tally.faults, "\n".join(tally.faults[:10])
    assert set(tally.statuses) >= {200, 400, 403, 405}, "the requests are of every kind"
    assert tally.accepted
    assert tally.deleted or REQUESTS < 10_000, "few of a small number hit a selector that deletes"

    async def accounted_for() -> bool:
        sent, inbox = await everything(world, account)
        untold = [row for row in sent if row["guid"] not in tally.accepted | {guid}]
        assert not untold, (untold, tally.unanswered)
        return len(sent) + len(inbox) == 2 + len(tally.accepted) - tally.deleted

    await until(accounted_for, "the logs hold what was answered and nothing else")
    sent, _ = await everything(world, account)
    ended = {
        row["guid"]: row["error_api"] or row["send_from_mobile_erreur"] for row in sent if row["status"] != "Pending"
    }
    assert set(ended.values()) <= {"canceled", "expired"}, ended
    assert {each for each, how in ended.items() if how == "canceled"} <= tally.canceled
    assert await everything(world, bystander) == before
    assert await belongings(world, [account, bystander]) == others


async def _caller(base_url: str, requests: Any, documented: dict[str, dict[str, Any]], tally: Tally) -> None:
    connection: Connection | None = None
    for asked in requests:
        connection = connection or await connect(base_url)
        try:
            async with asyncio.timeout(ANSWER_S if asked.whole else NO_ANSWER_S):
                answer = await connection.raw(asked.raw)
        except (Broken, TimeoutError) as problem:
            tally.unanswered.append(asked.raw)
            if asked.whole:
                tally.faults.append(f"no answer ({problem!r}) to {asked.raw[:1000]!r}")
            await connection.close()
            connection = None
            continue
        tally.statuses[answer.status] += 1
        tally.faults += [f"{fault}: {answer} to {asked.raw[:1000]!r}" for fault in _judged(asked, answer, documented)]
        _count(asked, answer, tally)
        if asked.cut or answer.headers.get("connection") == "close":
            await connection.close()
            connection = None
    if connection is not None:
        await connection.close()


def _judged(asked: Asked, answer: Response, documented: dict[str, dict[str, Any]]) -> list[str]:
    if answer.status >= 500:
        return ["a 5xx"]
    operation = documented[asked.path].get(asked.method.lower()) or documented[asked.path]["get"]
    faults = [] if str(answer.status) in operation["responses"] else ["an undocumented status"]
    if answer.headers.get("content-type") != "application/json; charset=utf-8":
        faults.append("no JSON")
    elif answer.status == 200 and asked.method not in ("GET", "POST"):
        faults.append("served")
    return faults


def _count(asked: Asked, answer: Response, tally: Tally) -> None:
    if answer.status != 200:
        return
    told = answer.json()
    result = told.get("result", {})
    path = asked.path.rstrip("/")
    if path == "/sendsms" and result["error"] == 0:
        tally.accepted |= set(result.get("ids", [result["id"]]))
    elif path == "/deletesms" and "deleted" in result:
        tally.deleted += int(result["deleted"])
    elif path == "/cancel" and "canceled" in result:
        tally.canceled.add(result["id"])
