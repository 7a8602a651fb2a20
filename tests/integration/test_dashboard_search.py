"""What people look for, found by every filter and every combination as a plain walk through the log would find it."""

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.dispatcher.store.stories import Stories
from services.gateway.dashboard.store import messages as store
from services.gateway.dashboard.store.filters import Filter, Number, read_filter, read_number
from services.gateway.dashboard.store.messages import Messages, Row
from shared.contracts.phone import Outcome
from shared.db.pool import Pool
from shared.db.seen import SEEN_STATES
from shared.errors import Invalid
from shared.model.ids import MessageId, accepted_at_ms
from tests.support.dispatching import ACCOUNT, Stores, submit_sms
from tests.support.scale import scaled
from tests.support.searching import Known, a_phone, canceled, level, sent_by, truth

TEXTS = [
    "Your code is 4711.", "100% off_today", "ПРИВЕТ, мир", "Été à Paris", r"a\b%c_d", "aaa", "💥 boom 💥", "x" * 10_000,
    "<script>alert(1)</script>", "\u202eevil", "", "code 0815",
]  # fmt: skip
NUMBERS = ["+15551230001", "+15551230002", "+33612345678", "+15559994711", "12345", "SHOP"]
PATTERNS = ["code", "CODE", "100%", "off_t", "привет", "ÉTÉ", r"\b%", "%c_", "aaa", "💥 b", "xxx", "</script>", "_____"]


@pytest.fixture
async def world(pool: Pool) -> tuple[Messages, list[Known]]:
    """Messages of two phones and of none, in every state, that the search knows; another account has the same."""
    stores, chance = await Stores.on(pool), random.Random(7)
    for _ in range(2):
        device, session = await a_phone(stores)
        outcomes: list[Outcome | None] = ["delivered", "sent", "failed", "unknown", None] * 4
        texts, numbers = chance.choices(TEXTS, k=20), chance.choices(NUMBERS, k=20)
        await sent_by(stores, device, session, outcomes, texts, numbers)
    later = time.time() + 3600
    for text in TEXTS:
        for changes in ({}, {"scheduled_at": later}, {"channel": "whatsapp"}, {"account": ACCOUNT + 1}):
            await stores.messages.submit([submit_sms(*NUMBERS[:3], text=text, **changes)])
    await stores.messages.submit([submit_sms(*NUMBERS, text="too late", valid_until=time.time() - 1)])
    await stores.work.expire()
    for known in (await truth(pool))[8:20]:
        await canceled(pool, known.id)
    gone = [known.id for known in (await truth(pool))[20:23]]
    await level(pool)
    for message in gone:
        assert await Stories(pool).delete_sent(ACCOUNT, message) == 1
    return Messages(pool), await truth(pool)


def naive(known: Known, wanted: Filter) -> bool:
    number = wanted.number
    return (
        wanted.message in (None, known.id)
        and wanted.state in (None, known.state)
        and wanted.device in (None, known.device)
        and (
            number is None
            or known.recipient == number.exact
            or bool(number.digits and number.digits in known.recipient)
        )
        and (wanted.text is None or wanted.text.lower() in known.text.lower())
        and (wanted.since is None or _moment(known) >= wanted.since)
        and (wanted.until is None or _moment(known) < wanted.until)
    )


async def everything(messages: Messages, wanted: Filter, limit: int) -> list[Row]:
    """All pages to the oldest; then back to the newest, which must show the same."""
    rows: list[Row] = []
    found = await messages.find(ACCOUNT, wanted, limit=limit)
    while True:
        rows += found.rows
        if found.older is None:
            break
        found = await messages.find(ACCOUNT, wanted, before=found.older, limit=limit)
    back = list(found.rows)
    while found.newer is not None:
        found = await messages.find(ACCOUNT, wanted, after=found.newer, limit=limit)
        back = found.rows + back
    assert [row.sent.id for row in back] == [row.sent.id for row in rows], "the way back shows what the way there did"
    return rows


WANTED = st.builds(
    lambda pick, **given: Wish(pick, Filter(**given)),
    pick=st.tuples(*(st.none() | st.integers(0, 10_000) for _ in range(4))),
    number=st.none()
    | st.sampled_from(["+15551230001", "06 12 34 56 78", "5551230", "4711", "1234", "12345", "SHOP", "99999"]).map(
        lambda raw: read_number(raw, "FR")
    ),
    state=st.none() | st.sampled_from(SEEN_STATES),
    text=st.none() | st.sampled_from(PATTERNS),
)


class Wish(NamedTuple):
    """A filter, and which messages its id, phone and times are taken from."""

    pick: tuple[int | None, int | None, int | None, int | None]
    rest: Filter

    def among(self, log: list[Known]) -> Filter:
        """The filter itself."""
        message, device, since, until = (None if nth is None else log[nth % len(log)] for nth in self.pick)
        first = self.pick[0]
        return self.rest._replace(
            message=MessageId(message.id) if message and first is not None and first % 4 == 0 else None,
            device=device and device.device,
            since=since and _moment(since),
            until=until and _moment(until),
        )


def _moment(known: Known) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=accepted_at_ms(MessageId(known.id)))


@settings(max_examples=scaled(small=40, one=150, full=2000), deadline=None, suppress_health_check=list(HealthCheck))
@given(wish=WANTED, limit=st.sampled_from([1, 3, 50]))
async def test_every_combination_finds_what_a_plain_walk_finds(
    world: tuple[Messages, list[Known]], wish: Wish, limit: int
) -> None:
    messages, log = world
    wanted = wish.among(log)
    expected = [each.id for each in log if naive(each, wanted)]
    assert [row.sent.id for row in await everything(messages, wanted, limit)] == expected


async def test_the_world_has_every_state_and_every_pattern_is_in_it(world: tuple[Messages, list[Known]]) -> None:
    messages, log = world
    assert {known.state for known in log} == set(SEEN_STATES)
    for pattern in PATTERNS[:-1]:
        (text,) = (await messages.find(ACCOUNT, Filter(text=pattern), limit=1)).rows
        assert pattern.lower() in text.sent.text.lower()
    assert (await messages.find(ACCOUNT, Filter(text="_____"))).rows == []
    assert (await messages.find(ACCOUNT + 2, Filter())).rows == []


async def test_export_gives_everything_once(
    world: tuple[Messages, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages, log = world
    monkeypatch.setattr(store, "EXPORTED_AT_ONCE", 7)
    exported = [row.sent.id async for batch in messages.export(ACCOUNT, Filter()) for row in batch]
    assert exported == [known.id for known in log]


async def test_looking_is_bounded_and_goes_on_where_it_ended(
    world: tuple[Messages, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages, log = world
    for bound in ("GLANCE", "LONG_LOOK", "MOST_HITS"):
        monkeypatch.setattr(store, bound, 2)
    partial = 0
    for wanted in (Filter(text="code"), Filter(state="queued", text="boom"), Filter(number=Number(None, "1555"))):
        before, ids = None, []
        while True:
            found = await messages.find(ACCOUNT, wanted, before=before, limit=3)
            partial += found.partial
            ids += [row.sent.id for row in found.rows]
            if (before := found.older) is None:
                break
        assert ids == [known.id for known in log if naive(known, wanted)]
    assert partial, "a page says that there may be more"


async def test_pages_have_no_gaps_while_messages_arrive(pool: Pool) -> None:
    stores, messages = await Stores.on(pool), Messages(pool)
    await stores.messages.submit([submit_sms("+15551230001") for _ in range(30)])
    await level(pool)
    log = await truth(pool)
    wanted, before, ids = Filter(number=Number("+15551230001", None)), None, []
    while True:
        found = await messages.find(ACCOUNT, wanted, before=before, limit=7)
        ids += [row.sent.id for row in found.rows]
        await stores.messages.submit([submit_sms("+15551230001") for _ in range(3)])
        await level(pool)
        if (before := found.older) is None:
            break
    assert ids == [known.id for known in log]
    assert len(await truth(pool)) > len(log)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ({"message": "xyz"}, "invalid_message_id"),
        ({"number": "123-x"}, "invalid_number"),
        ({"number": "(((("}, "invalid_number"),
        ({"number": "+12"}, "invalid_number"),
        ({"number": "1" * 300}, "invalid_number"),
        ({"number": "4\x007115"}, "invalid_number"),
        ({"state": "gone"}, "invalid_state"),
        ({"device": "'; drop table messages"}, "invalid_device"),
        ({"text": "ab"}, "invalid_text"),
        ({"text": "abc\x00"}, "invalid_text"),
        ({"text": "abc\ud800"}, "invalid_text"),
        ({"text": "x" * 201}, "invalid_text"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(typed: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_filter(**typed)
    assert refused.value.code == code


def test_nothing_typed_is_no_filter() -> None:
    assert read_filter(message=" ", number="", text="  ") == Filter()
    assert read_number("06 12 34 56 78", "FR") == Number("+33612345678", "0612345678")
    assert read_number("4711", None) == Number("4711", "4711")
    assert read_number("SHOP", None) == Number("SHOP", None), "a name, as senders have"
