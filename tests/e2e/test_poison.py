"""What the edge would have refused, forced into COMMANDS beside good commands, ends alone."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shared.contracts.commands import Recipient, SubmitSms
from shared.contracts.envelope import MAX_ITEMS, encode_envelope, encode_item
from shared.contracts.registry import COMMANDS, SUBMIT_SINGLE
from shared.model.texts import segments
from tests.support.system import System
from tests.support.waiting import until

YEAR_5000 = 95_617_584_000.0
ALL_S = 60.0


def command(account: int, text: str, number: str) -> SubmitSms:
    """What the gateway would have made of a request."""
    now = time.time()
    message = int(now * 1000).to_bytes(6, "big") + secrets.token_bytes(14)
    encoding, parts = segments(text)
    return SubmitSms(
        account=account,
        submitter="test",
        recipients=[Recipient(message, number)],
        text=text,
        encoding=encoding,
        parts=parts,
        accepted_at=now,
        scheduled_at=now,
        valid_until=now + 3600,
    )


def with_nul(good: SubmitSms) -> bytes:
    return encode_item(msgspec.structs.replace(good, text=good.text + "\0"))


def in_the_year_5000(good: SubmitSms) -> bytes:
    return encode_item(msgspec.structs.replace(good, scheduled_at=YEAR_5000, valid_until=YEAR_5000 + 3600))


def beyond_every_calendar(good: SubmitSms) -> bytes:
    return encode_item(msgspec.structs.replace(good, scheduled_at=1e300, valid_until=1e300))


def with_a_lone_surrogate(good: SubmitSms) -> bytes:
    encoded = encode_item(good)
    assert good.text.endswith("xxx")
    return encoded.replace(good.text.encode(), good.text.encode()[:-3] + b"\xed\xa0\x80")


def of_no_contract(good: SubmitSms) -> bytes:
    return msgspec.msgpack.encode({"type": "sms.submit.v9", "text": good.text})


async def force(system: System, items: list[bytes]) -> None:
    """Puts them into COMMANDS as one envelope, past the edge."""
    client = await system.nats()
    try:
        await client.jetstream().publish(SUBMIT_SINGLE, encode_envelope(items), stream=COMMANDS.name)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("poison", "has_row"),
    [
        (with_nul, True),
        (in_the_year_5000, True),
        (beyond_every_calendar, True),
        (with_a_lone_surrogate, False),
        (of_no_contract, False),
    ],
)
async def test_one_bad_command_ends_rejected_and_its_neighbours_are_sent(
    system: System, poison: Callable[[SubmitSms], bytes], has_row: bool
) -> None:
    run = secrets.token_hex(4)
    account = await system.account()
    commands = [command(account, f"{run} {n} xxx", f"+1555{n:07}") for n in range(MAX_ITEMS)]
    victim = secrets.randbelow(MAX_ITEMS)
    items = [poison(each) if n == victim else encode_item(each) for n, each in enumerate(commands)]
    before = {letter["id"] for letter in await system.dead()}
    await force(system, items)

    guids = [each.recipients[0].id.hex() for each in commands]
    good = [guid for n, guid in enumerate(guids) if n != victim]

    async def performed() -> bool:
        return {line["message_id"] for line in system.radio()}.issuperset(good)

    await until(performed, "the 255 good ones reached the radio", ALL_S)
    await system.at_rest()
    lines = [line["message_id"] for line in system.radio()]
    assert [lines.count(guid) for guid in good] == [1] * len(good)
    assert guids[victim] not in lines

    async def buried() -> list[dict[str, Any]]:
        return [letter for letter in await system.dead() if letter["id"] not in before]

    (letter,) = await until(buried, "the bad one is a dead letter")
    assert letter["source"] == SUBMIT_SINGLE
    assert letter["reason"]
    assert letter["account"] == (account if has_row else None)
    rows = await system.log(guid_message=guids[victim])
    assert bool(rows) is has_row
    if has_row:
        assert (rows[0]["status"], rows[0]["send_from_mobile_erreur"]) == ("Error", "rejected")
    # Nothing is stuck behind it.
    await system.succeeded(await system.send(f"{run} after the poison"))
