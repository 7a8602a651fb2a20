"""Sends each golden transcript's bytes to a running system and holds every answer to it, key by key and type by type.

The transcripts are written by hand from the contract of SMSMobileAPI, whose section each names; nothing records them.
"""

import asyncio
import json
import secrets
import time
from pathlib import Path

import pytest

from tests.contract.conftest import Account, World
from tests.support.http import Response, connected, form
from tests.support.transcripts import (
    Exchange,
    Step,
    Transcript,
    Values,
    differences,
    expected_body,
    read_transcripts,
    request_bytes,
)
from tests.support.waiting import until

FOLDER = Path(__file__).parent / "transcripts"
TRANSCRIPTS = read_transcripts(FOLDER)
ANSWER_S = 10.0
"""Contract 2.1: clients wait this long."""

JSON_TYPE = "application/json; charset=utf-8"


def test_there_are_transcripts_and_each_has_its_own_title() -> None:
    titles = [each.title for each in TRANSCRIPTS]
    assert len(titles) > 100
    assert len(set(titles)) == len(titles)
    assert all(title[0].isdigit() for title in titles), "each names its section of the contract"


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.title.replace(" ", "_"))
async def test_transcript(world: World, transcript: Transcript) -> None:
    account = await world.account(transcript.account)
    values = Values(key=account.key, device=account.device, phone=account.phone.name if account.phone else "")
    base_url = await world.base_url(transcript.at)
    for part in transcript.parts:
        if isinstance(part, Step):
            await _do(world, account, values, values.fill(part.words))
        elif part.until:
            await _repeated(base_url, part, values, transcript)
        else:
            faults = await _exchanged(base_url, part, values)
            assert not faults, "\n".join([transcript.place, *faults])


async def _repeated(base_url: str, exchange: Exchange, values: Values, transcript: Transcript) -> None:
    faults: list[str] = []

    async def answered_so() -> bool:
        told = Values(values)
        faults[:] = await _exchanged(base_url, exchange, told)
        if not faults:
            values.update(told)
        return not faults

    try:
        await until(answered_so, f"{transcript.place}: the answer is what it must be", 10)
    except AssertionError as problem:
        problem.add_note("\n".join(faults))
        raise


async def _exchanged(base_url: str, exchange: Exchange, values: Values) -> list[str]:
    """What is wrong with the answer; nothing when all is right."""
    raw = request_bytes(exchange, values)
    values.pop("why", None)
    async with asyncio.timeout(ANSWER_S):
        answer = await _answered(base_url, raw)
    faults = []
    if answer.status != exchange.status:
        faults.append(f"status {answer.status}, not {exchange.status}")
    for name, wanted in {"content-type": JSON_TYPE, "location": "-", **exchange.headers}.items():
        actual = answer.headers.get(name)
        if wanted == "-":
            if actual is not None:
                faults.append(f"header {name}: {actual}")
        elif actual is None:
            faults.append(f"no header {name}")
        elif wanted == "<int>":
            faults += [] if actual.isdigit() and actual.isascii() else [f"header {name}: {actual}"]
        elif actual != wanted:
            faults.append(f"header {name}: {actual}, not {wanted}")
    wanted_body = expected_body(exchange)
    if wanted_body is None:
        faults += [f"a body: {answer.body!r}"] if answer.body else []
    else:
        try:
            faults += differences(wanted_body, json.loads(answer.body), values)
        except ValueError:
            faults.append(f"no JSON: {answer.body[:500]!r}")
    return [*faults, f"asked {raw[:2000]!r}", f"answered {answer.status} {answer.body[:2000]!r}"] if faults else []


async def _answered(base_url: str, raw: bytes) -> Response:
    async with connected(base_url) as connection:
        return await connection.raw(raw)


async def _do(world: World, account: Account, values: Values, words: str) -> None:
    """A step: what happens outside HTTP, or what must be true outside of it."""
    match words.split(" ", 1):
        case ["receives", rest]:
            number, text = rest.split(" ", 1)
            assert account.phone is not None
            await account.phone.receive(number, text)
        case ["performs", rest]:
            await _performs(account, rest)
        case ["loses", "its memory"]:
            assert account.phone is not None
            await account.phone.lose_memory()
        case ["took", guid]:
            await _took(account, guid)
        case ["names", name]:
            values[name] = secrets.token_hex(10)
        case ["never", guid]:
            assert account.phone is not None
            assert account.phone.of(guid) == []
        case ["keys", names]:
            for name in names.split(" "):
                values[f"{name} key"] = await _key(world, account, name)
        case ["account", name]:
            other = await world.account(name)
            values[f"{name} key"], values[f"{name} device"] = other.key, other.device
        case _:
            raise AssertionError(f"no such step: {words}")


async def _performs(account: Account, rest: str) -> None:
    """`<guid> channel=whatsapp sim=2 number=+1..`: the phone sends the message so, once."""
    guid, *wanted = rest.split(" ")
    assert account.phone is not None
    phone = account.phone

    async def performed() -> bool:
        return bool(phone.of(guid))

    await until(performed, f"the phone sends {guid}")
    (job,) = phone.of(guid)
    for pair in wanted:
        name, _, value = pair.partition("=")
        assert str(getattr(job, name)) == value, job


async def _took(account: Account, guid: str) -> None:
    assert account.phone is not None
    phone = account.phone

    async def taken() -> bool:
        return guid in phone.taken

    await until(taken, f"the phone has taken {guid}")


async def _key(world: World, account: Account, name: str) -> str:
    match name:
        case "reading":
            return await world.key(account, "sms:read")
        case "sending":
            return await world.key(account, "sms:send")
        case "rated":
            return await world.key(account, rate_per_minute=2)
        case "revoked":
            return await world.revoked_key(account)
    raise AssertionError(f"no such key: {name}")


async def test_2_1_a_thousand_recipients_are_accepted_as_a_whole(world: World) -> None:
    """The most that our extension allows; a transcript cannot say a thousand ids."""
    account = await world.fresh("many")
    numbers = [f"+3247{number:07}" for number in range(1000)]
    tomorrow = int(time.time()) + 86_400
    body = form(apikey=account.key, recipients=";".join(numbers), message="all", schedule_timestamp=tomorrow)
    answer = await world.system.post("/sendsms/", body)
    assert answer.status == 200, answer
    result = answer.json()["result"]
    assert result["id"] == result["ids"][0]

    async def stored() -> dict[str, str] | None:
        rows = await world.system.log(account.key, limit=1000)
        return {row["guid"]: row["number"] for row in rows} if len(rows) == 1000 else None

    shown = await until(stored, "all of them are in the log")
    assert [shown[guid] for guid in result["ids"]] == numbers
