"""Answers about campaigns: drafts, their rows checked as the gateway checks a message, and changes of status."""

import asyncio
import re
import secrets
import string
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from services.dispatcher.store.campaigns import Campaigns, Draft
from shared.contracts import registry
from shared.contracts.registry import Rpc
from shared.contracts.rpc import campaigns as rpc
from shared.contracts.rpc.campaigns import CampaignShown, CampaignStatus, RefusedRow, RowsAdded
from shared.errors import Conflict, Invalid, NotFound
from shared.model.numbers import parse_recipient
from shared.model.storable import MAX_SCHEDULE_AHEAD_S, MAX_TEXT_CHARS, is_storable
from shared.model.texts import segments
from shared.runtime.clock import Clock

MAX_ROWS_PER_CALL: Final = 1000
MAX_ROWS: Final = 1_000_000
MAX_NAME_CHARS: Final = 200
MAX_TTL_S: Final = 365 * 86_400

_DEVICE: Final = re.compile(r"[A-Za-z0-9_-]{21}")
_ID_ALPHABET: Final = string.ascii_letters + string.digits


class _Move(NamedTuple):
    """A change of status: from where it may happen, and the code of the refusal where the campaign has not ended."""

    before: tuple[CampaignStatus, ...]
    to: CampaignStatus
    refusal: str


START: Final = _Move(("draft",), "active", "not_a_draft")
PAUSE: Final = _Move(("active",), "paused", "not_started")
RESUME: Final = _Move(("paused",), "active", "not_started")
CANCEL: Final = _Move(("draft", "active", "paused"), "canceled", "over")


class Campaigning:
    """Answers the questions of shared/contracts/rpc/campaigns.py."""

    def __init__(self, campaigns: Campaigns, clock: Clock) -> None:
        """Uses this store."""
        self._campaigns = campaigns
        self._clock = clock

    def bound(self) -> list[tuple[Rpc[Any, Any], Any]]:
        """Each question of the registry about campaigns with its answer."""
        return [
            (registry.DISPATCHER_CAMPAIGN_CREATE, self.create),
            (registry.DISPATCHER_CAMPAIGN_ADD, self.add_rows),
            (registry.DISPATCHER_CAMPAIGN_START, self.start),
            (registry.DISPATCHER_CAMPAIGN_LIST, self.list),
            (registry.DISPATCHER_CAMPAIGN_PAUSE, self.pause),
            (registry.DISPATCHER_CAMPAIGN_RESUME, self.resume),
            (registry.DISPATCHER_CAMPAIGN_CANCEL, self.cancel),
        ]

    async def create(self, ask: rpc.CreateCampaign) -> CampaignShown:
        """A new draft. Raises Invalid, Conflict (`too_many_campaigns`)."""
        now = self._clock()
        _check(ask, now)
        if ask.device is not None and not (
            _DEVICE.fullmatch(ask.device) and await self._campaigns.has_device(ask.account, ask.device)
        ):
            raise Invalid("The account has no such device.", code="invalid_device")
        id = "cmp_" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))
        if not await self._campaigns.create(id, ask, max(now, ask.starts_at or 0)):
            raise Conflict("The account has too many campaigns that have not ended.", code="too_many_campaigns")
        return await self._shown(ask.account, id)

    async def add_rows(self, ask: rpc.AddRows) -> RowsAdded:
        """All of the rows or none.

        Raises NotFound, Invalid (`invalid_rows`), Conflict (`not_a_draft`, `other_rows`).
        """
        if not 0 < len(ask.rows) <= MAX_ROWS_PER_CALL:
            raise Invalid(f"There are 1 to {MAX_ROWS_PER_CALL} rows in a call.", code="invalid_rows")
        if not 0 <= ask.after <= MAX_ROWS - len(ask.rows):
            raise Invalid(f"A campaign has at most {MAX_ROWS} rows.", code="invalid_rows")
        draft = await self._campaigns.draft(ask.account, ask.id)
        if draft is None:
            raise _not_found()
        # To read a thousand national numbers takes long enough to be felt by whoever else asks.
        checked = await asyncio.to_thread(_check_rows, ask, draft)
        if refused := [each for each in checked if isinstance(each, RefusedRow)]:
            return RowsAdded(total=ask.after, refused=refused)
        total = ask.after + len(ask.rows)
        texts = [row.text or None for row in ask.rows]
        recipients = [each for each in checked if isinstance(each, str)]
        if not await self._campaigns.add_rows(ask.account, ask.id, ask.after, recipients, texts):
            campaign = (await self._shown(ask.account, ask.id)).campaign
            if campaign.status != "draft":
                raise Conflict("Rows are added before a campaign is started.", code="not_a_draft")
            if campaign.total != total:
                raise Conflict(f"The campaign has {campaign.total} rows.", code="other_rows")
        return RowsAdded(total=total, refused=[])

    async def start(self, ask: rpc.StartCampaign) -> CampaignShown:
        """Starts a draft that has rows. Raises NotFound, Invalid (`invalid_rows`), Conflict (`not_a_draft`, `over`)."""
        return await self._move(ask.account, ask.id, START, least_rows=1)

    async def pause(self, ask: rpc.PauseCampaign) -> CampaignShown:
        """Pauses an active campaign. Raises NotFound, Conflict (`not_started`, `over`)."""
        return await self._move(ask.account, ask.id, PAUSE)

    async def resume(self, ask: rpc.ResumeCampaign) -> CampaignShown:
        """Goes on with a paused campaign. Raises NotFound, Conflict (`not_started`, `over`)."""
        return await self._move(ask.account, ask.id, RESUME)

    async def cancel(self, ask: rpc.CancelCampaign) -> CampaignShown:
        """Cancels a campaign that is not done. Raises NotFound, Conflict (`over`)."""
        return await self._move(ask.account, ask.id, CANCEL)

    async def list(self, ask: rpc.ListCampaigns) -> rpc.Campaigns:
        """The account's campaigns. Raises NotFound where one is named that the account has not."""
        if ask.id is not None:
            return rpc.Campaigns([(await self._shown(ask.account, ask.id)).campaign])
        return rpc.Campaigns(await self._campaigns.list(ask.account))

    async def _move(self, account: int, id: str, move: _Move, least_rows: int = 0) -> CampaignShown:
        """The campaign after the change; a change that was made before is made."""
        moved = await self._campaigns.move(account, id, move.to, move.before, least_rows)
        shown = await self._shown(account, id)
        status = shown.campaign.status
        if moved or status == move.to:
            return shown
        if status in ("done", "canceled"):
            raise Conflict(f"The campaign is {status}.", code="over")
        if shown.campaign.total < least_rows:
            raise Invalid("The campaign has no rows.", code="invalid_rows")
        raise Conflict(f"The campaign is {status}.", code=move.refusal)

    async def _shown(self, account: int, id: str) -> CampaignShown:
        found = await self._campaigns.list(account, id)
        if not found:
            raise _not_found()
        return CampaignShown(found[0])


def _not_found() -> NotFound:
    return NotFound("There is no such campaign in this account.")


def _check(ask: rpc.CreateCampaign, now: float) -> None:
    """Refuses what no campaign may be. Raises Invalid."""
    if not 0 < len(ask.name.strip()) <= MAX_NAME_CHARS or not is_storable(ask.name):
        raise Invalid(f"A campaign's name has 1 to {MAX_NAME_CHARS} characters.", code="invalid_name")
    if ask.text:
        _check_text(ask.text)
    if ask.sim is not None and not 1 <= ask.sim <= 8:
        raise Invalid("A SIM is 1 to 8.", code="invalid_sim")
    if not -128 <= ask.priority <= 127:
        raise Invalid("A priority is -128 to 127.", code="invalid_priority")
    if not 1 <= ask.valid_s <= MAX_TTL_S:
        raise Invalid("A validity is 1 second to 365 days.", code="invalid_ttl")
    if ask.starts_at is not None and not 0 <= ask.starts_at <= now + MAX_SCHEDULE_AHEAD_S:
        raise Invalid("The start is more than 365 days ahead.", code="invalid_schedule_timestamp")


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT_CHARS:
        raise Invalid(f"The message is longer than {MAX_TEXT_CHARS} characters.", code="message_too_long")
    if not is_storable(text):
        raise Invalid("The message holds a character that cannot be sent.", code="invalid_message")


def _check_rows(ask: rpc.AddRows, draft: Draft) -> Sequence[str | RefusedRow]:
    """For each row its recipient as it is sent, or why it cannot be."""
    checked: list[str | RefusedRow] = []
    known: dict[str, Invalid | None] = {}
    for number, row in enumerate(ask.rows, start=ask.after + 1):
        text = row.text or draft.text
        if text not in known:
            known[text] = _fault(text, draft.channel, ask.max_parts)
        fault = known[text]
        try:
            if fault is not None:
                raise fault
            checked.append(parse_recipient(row.number, ask.region))
        except Invalid as refusal:
            checked.append(RefusedRow(row=number, code=refusal.code, message=str(refusal)))
    return checked


def _fault(text: str, channel: str, max_parts: int | None) -> Invalid | None:
    """Why the text cannot be sent; None where it can."""
    if not text:
        return Invalid("The message is missing.", code="missing_message")
    try:
        _check_text(text)
    except Invalid as fault:
        return fault
    parts = segments(text).parts
    if channel == "sms" and max_parts is not None and parts > max_parts:
        return Invalid(f"The message has {parts} parts and the account allows {max_parts}.", code="too_many_parts")
    return None
