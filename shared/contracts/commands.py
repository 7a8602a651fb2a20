"""What the gateway promises to do: commands on the COMMANDS stream."""

import msgspec


class Recipient(msgspec.Struct, frozen=True, array_like=True):
    """One recipient of a request with the message id that its caller was given."""

    id: bytes
    number: str


class SubmitSms(msgspec.Struct, frozen=True, kw_only=True, tag="sms.submit.v1"):
    """Send one text to each recipient. One HTTP request is one such command; it is accepted whole.

    `submitter` is the API key or client that asked (fairness counts by it). Times are Unix seconds UTC.
    `encoding` and `parts` are those of the text (shared/model/texts.py). `media_url` is for the phone to fetch.
    """

    account: int
    submitter: str
    recipients: list[Recipient]
    text: str
    encoding: str
    parts: int
    accepted_at: float
    scheduled_at: float
    valid_until: float
    channel: str = "sms"
    device: str | None = None
    sim: int | None = None
    priority: int = 0
    origin: str | None = None
    client_ref: str | None = None
    media_url: str | None = None


Command = SubmitSms
