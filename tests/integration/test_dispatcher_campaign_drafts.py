"""Questions about campaigns: drafts, rows that are refused by their number, changes of status, other accounts."""

from typing import Any

import pytest

from services.dispatcher.campaigning import MAX_ROWS
from shared.contracts.rpc import campaigns as rpc
from shared.db.pool import Pool
from shared.errors import NotFound, SmsFleetError
from shared.model.ids import new_device_id
from tests.support.campaigns import Fair
from tests.support.dispatching import ACCOUNT, opened
from tests.support.questions import Named

STRANGER = ACCOUNT + 1


@pytest.fixture
async def fair(pool: Pool) -> Fair:
    return await Fair.on(pool)


def add(id: str, *rows: tuple[str, str | None], after: int = 0, **changes: Any) -> rpc.AddRows:
    return rpc.AddRows(account=ACCOUNT, id=id, after=after, rows=[rpc.Row(*row) for row in rows], **changes)


async def test_rows_are_kept_as_they_will_be_sent(fair: Fair) -> None:
    id = await fair.draft()
    rows = [("(0470) 12 34 56", None), ("+1 555 000 1234", "for you"), ("ACME", "")]
    assert (await fair.asked.add_rows(add(id, *rows, region="BE"))).total == 3
    kept = await fair.pool.fetch("select recipient, text from campaign_rows order by row")
    assert [tuple(row) for row in kept] == [("+32470123456", None), ("+15550001234", "for you"), ("ACME", None)]


async def test_one_bad_row_refuses_the_call_and_is_named(fair: Fair) -> None:
    id = await fair.draft(text="")
    assert (await fair.asked.add_rows(add(id, ("+15550001", "a")))).total == 1
    rows = [("+15550002", "b"), ("no number!", "b"), ("+15550003", None), ("", "b"), ("+15550004", "a\0b")]
    rows.append(("+15550005", "x" * 200))
    answer = await fair.asked.add_rows(add(id, *rows, after=1, max_parts=1))
    assert [(each.row, each.code) for each in answer.refused] == [
        (3, "invalid_recipient"),
        (4, "missing_message"),
        (5, "missing_recipients"),
        (6, "invalid_message"),
        (7, "too_many_parts"),
    ]
    assert answer.total == 1
    assert (await fair.show(id)).total == 1
    assert await fair.pool.fetchval("select count(*) from campaign_rows") == 1


async def test_rows_that_are_added_again_are_added_once(fair: Fair) -> None:
    id = await fair.draft()
    ask = add(id, ("+15550001", None), ("+15550002", None))
    for _ in range(2):
        assert await fair.asked.add_rows(ask) == rpc.RowsAdded(total=2, refused=[])
    assert await fair.pool.fetchval("select count(*) from campaign_rows") == 2
    await _refused(fair.asked.add_rows(add(id, ("+15550003", None), after=7)), "other_rows")


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("invalid_name", {"name": " "}),
    ("invalid_name", {"name": "a\0"}),
    ("message_too_long", {"text": "x" * 20_001}),
    ("invalid_message", {"text": "a\0b"}),
    ("invalid_device", {"device": "none such"}),
    ("invalid_device", {"device": new_device_id()}),
    ("invalid_sim", {"sim": 9}),
    ("invalid_priority", {"priority": 128}),
    ("invalid_ttl", {"valid_s": 0}),
    ("invalid_schedule_timestamp", {"starts_at": 1e12}),
    ("invalid_schedule_timestamp", {"starts_at": float("nan")}),
]


async def test_what_no_campaign_may_be_is_refused(fair: Fair) -> None:
    for code, change in FAULTS:
        await _refused(fair.draft(**change), code)
    assert (await fair.asked.list(rpc.ListCampaigns(account=ACCOUNT))).campaigns == []


async def test_calls_and_campaigns_have_a_size(fair: Fair) -> None:
    id = await fair.draft()
    for ask in (
        add(id),
        add(id, *[("+15550001", None)] * 1001),
        add(id, ("+15550001", None), after=MAX_ROWS),
        add(id, ("+15550001", None), after=-1),
    ):
        await _refused(fair.asked.add_rows(ask), "invalid_rows")
    for _ in range(99):
        await fair.draft()
    await _refused(fair.draft(), "too_many_campaigns")


async def test_each_status_allows_its_changes_and_a_repeated_one(fair: Fair) -> None:
    asked = fair.asked
    id = await fair.draft()
    named: Named = {"account": ACCOUNT, "id": id}
    await _refused(asked.start(rpc.StartCampaign(**named)), "invalid_rows")
    await _refused(asked.pause(rpc.PauseCampaign(**named)), "not_started")
    await _refused(asked.resume(rpc.ResumeCampaign(**named)), "not_started")
    await asked.add_rows(add(id, ("+15550001", None)))
    for _ in range(2):
        assert (await asked.start(rpc.StartCampaign(**named))).campaign.status == "active"
    await _refused(asked.add_rows(add(id, ("+15550002", None), after=1)), "not_a_draft")
    for _ in range(2):
        assert (await asked.pause(rpc.PauseCampaign(**named))).campaign.status == "paused"
    await _refused(asked.start(rpc.StartCampaign(**named)), "not_a_draft")
    for _ in range(2):
        assert (await asked.resume(rpc.ResumeCampaign(**named))).campaign.status == "active"
    for _ in range(2):
        assert (await asked.cancel(rpc.CancelCampaign(**named))).campaign.status == "canceled"
    await _refused(asked.resume(rpc.ResumeCampaign(**named)), "over")
    await fair.feeder.tick()
    done = await fair.started(1)
    phone = await opened(fair.stores)
    await fair.feeder.tick()
    await fair.send(phone, 1)
    await fair.feeder.tick()
    await _refused(asked.cancel(rpc.CancelCampaign(account=ACCOUNT, id=done)), "over")


async def test_another_account_s_campaign_is_not_found(fair: Fair) -> None:
    id = await fair.started(3)
    named: Named = {"account": STRANGER, "id": id}
    for answer in (
        fair.asked.list(rpc.ListCampaigns(**named)),
        fair.asked.add_rows(rpc.AddRows(**named, after=3, rows=[rpc.Row("+15550001")])),
        fair.asked.start(rpc.StartCampaign(**named)),
        fair.asked.pause(rpc.PauseCampaign(**named)),
        fair.asked.resume(rpc.ResumeCampaign(**named)),
        fair.asked.cancel(rpc.CancelCampaign(**named)),
    ):
        with pytest.raises(NotFound):
            await answer
    assert (await fair.asked.list(rpc.ListCampaigns(account=STRANGER))).campaigns == []
    assert (await fair.show(id)).status == "active"
    device, _ = await opened(fair.stores, account=STRANGER)
    await _refused(fair.draft(device=device), "invalid_device")


async def _refused(answer: Any, code: str) -> None:
    with pytest.raises(SmsFleetError) as refused:
        await answer
    assert refused.value.code == code
