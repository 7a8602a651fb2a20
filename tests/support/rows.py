"""Rows of phones, messages and texts, as the dispatcher writes them, for tests of those who read them."""

import time

from shared.db.pool import Pool
from shared.model.ids import MessageIds
from shared.security.secrets import derive_key
from tests.conftest import SECRET
from tests.support.gateway import ACCOUNT, DEVICE

IDS = MessageIds(derive_key(SECRET, "message-ids"))
"""Makes the ids that a gateway of these tests makes."""


async def add_device(pool: Pool, device: str = DEVICE, account: int = ACCOUNT, *channels: str) -> None:
    await pool.execute(
        """
        insert into devices (id, account_id, name, protocol, journal, channels, approved, gateway, opened_at,
            renewed_at, last_seen_at)
        values ($1, $2, 'n', 'socket', 'j', $3, true, 'g', now(), now(), now())
        """,
        device,
        account,
        channels or ("sms",),
    )


async def add_message(pool: Pool, account: int = ACCOUNT, text: str = "hello", state: str = "queued") -> bytes:
    """A row as the dispatcher writes it, in a partition that holds everything."""
    await pool.execute(
        "create table if not exists messages_all partition of messages for values from (minvalue) to (maxvalue)"
    )
    message = IDS.new(account, int(time.time() * 1000))[0]
    await pool.execute(
        """
        insert into messages (id, account_id, submitter, recipient, text, channel, encoding, parts, priority,
            accepted_at, scheduled_at, valid_until, state)
        values ($1, $2, 'k', '+3247123456', $3, 'sms', 'gsm7', 1, 0, now(), now(), now() + interval '1 day', $4)
        """,
        message,
        account,
        text,
        state,
    )
    return message


async def add_text(pool: Pool, text: str, account: int = ACCOUNT) -> int:
    number: int = await pool.fetchval(
        """
        insert into inbox (account_id, device_id, sim, number, text, received_at, utc_offset_min, fingerprint)
        values ($1, $2, 1, '+1555', $3, now(), 60, sha256($3::text::bytea)) returning id
        """,
        account,
        DEVICE,
        text,
    )
    return number
