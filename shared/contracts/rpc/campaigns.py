"""Questions about campaigns: many messages as one thing that can be paused and canceled. Times are Unix seconds.

A campaign of another account is answered with NotFound, a change that its status forbids with Conflict `not_a_draft`,
`not_started` or `over`.
"""

from typing import Literal

import msgspec

CampaignStatus = Literal["draft", "active", "paused", "canceled", "done"]
Channel = Literal["sms", "whatsapp"]


class CreateCampaign(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.campaign_create.v1"):
    """A new draft without rows. `text` empty: each row brings its own. `starts_at` None: when it is started.

    `valid_s`: how long a message is valid after it was fed, in seconds. Single messages have priority 0. Refused with
    `invalid_name`, `invalid_message`, `message_too_long`, `invalid_device`, `invalid_sim`, `invalid_priority`,
    `invalid_ttl`, `invalid_schedule_timestamp`; Conflict `too_many_campaigns`.
    """

    account: int
    name: str
    text: str = ""
    channel: Channel = "sms"
    priority: int = -10
    device: str | None = None
    sim: int | None = None
    starts_at: float | None = None
    valid_s: int = 259_200


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One recipient as its caller writes it; `text` None or empty: the campaign's."""

    number: str
    text: str | None = None


class AddRows(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.campaign_add.v1"):
    """Up to 1,000 more rows for a draft that has `after` of them: all are added, or none.

    Repeating the newest call is harmless. `region` and `max_parts` are the account's. Refused with `invalid_rows` when
    there are none or too many; Conflict `other_rows` when the draft has not `after` rows.
    """

    account: int
    id: str
    after: int
    rows: list[Row]
    region: str | None = None
    max_parts: int | None = None


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that cannot be sent, by its number in the campaign, counted from 1."""

    row: int
    code: str
    message: str


class RowsAdded(msgspec.Struct, frozen=True, kw_only=True, tag="campaign_rows_added"):
    """How many rows the draft has now. Where a row was refused, none of the call was added."""

    total: int
    refused: list[RefusedRow]


class StartCampaign(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.campaign_start.v1"):
    """From now on, or from `starts_at`, the campaign is fed. Refused with `invalid_rows` where it has none."""

    account: int
    id: str


class ListCampaigns(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.campaign_list.v1"):
    """An account's campaigns, newest first, at most 100; `id` set: that one, or NotFound."""

    account: int
    id: str | None = None


class PauseCampaign(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.campaign_pause.v1"):
    """Hold what no phone has; what phones have goes on."""

    account: int
    id: str


class ResumeCampaign(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.campaign_resume.v1"):
    """Go on with a paused campaign."""

    account: int
    id: str


class CancelCampaign(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher.campaign_cancel.v1"):
    """End it: what no phone has taken is canceled, what was not fed never will be."""

    account: int
    id: str


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign and how many of its `total` rows are where.

    `unfed` have no message yet, `working` have one that is not at rest; the others are at rest, and the most is known
    of `delivered`. The counters follow within seconds, for a day after the end (`ended_at`).
    """

    id: str
    name: str
    status: CampaignStatus
    text: str
    channel: str
    priority: int
    device: str | None
    sim: int | None
    valid_s: int
    created_at: float
    starts_at: float
    ended_at: float | None
    total: int
    unfed: int
    working: int
    sent: int
    delivered: int
    failed: int
    expired: int
    canceled: int
    unknown: int


class CampaignShown(msgspec.Struct, frozen=True, tag="campaign_shown"):
    """A campaign after a change."""

    campaign: Campaign


class Campaigns(msgspec.Struct, frozen=True, tag="campaigns"):
    """Campaigns, newest first."""

    campaigns: list[Campaign]
