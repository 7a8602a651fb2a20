"""What the agent asks of any radio, so that a modem driver and the simulated one are exchangeable."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

FailureReason = Literal[
    "no_service", "radio_off", "sim_missing", "invalid_number", "carrier_rejected", "partly_sent", "generic"
]
"""Why a radio did not send; docs/phone-protocol.md says what each means."""


class SimCard(NamedTuple):
    """A SIM in the phone; slots count from 1."""

    slot: int
    number: str | None
    carrier: str | None


class Outgoing(NamedTuple):
    """One text to send, under the attempt id that names it everywhere.

    `channel` is one of the driver's; `media_url` is a picture or file to go with the text where the channel has such.
    """

    attempt: str
    sim: int
    number: str
    text: str
    channel: str = "sms"
    media_url: str | None = None


class Sent(NamedTuple):
    """The network took every part; `at_ms` in Unix milliseconds."""

    at_ms: int


class Failed(NamedTuple):
    """The radio is sure that not every part was sent; `at_ms` in Unix milliseconds."""

    at_ms: int
    reason: FailureReason


class Receipt(NamedTuple):
    """The recipient's phone has the text; `at_ms` in Unix milliseconds."""

    attempt: str
    at_ms: int


class Arrival(NamedTuple):
    """A text that came in. `id` is the same however often the radio shows it before it is forgotten."""

    id: str
    sim: int
    number: str
    text: str
    at_ms: int
    utc_offset_min: int


class RadioDriver(Protocol):
    """The radios of one phone.

    An exception out of `send` means that nobody knows whether the text was sent; the agent then reports
    `unknown` and never sends it again. So a driver returns `Failed` wherever it is sure.
    """

    @property
    def sims(self) -> Sequence[SimCard]:
        """The SIMs, which do not change while the agent runs."""

    @property
    def channels(self) -> Sequence[str]:
        """What it can send: `sms`, `whatsapp`."""

    @property
    def send_deadline_s(self) -> float:
        """After how many seconds a send without a result is given up as unknown."""

    async def send(self, sms: Outgoing) -> Sent | Failed:
        """Sends one text; the agent has at most one send under way for each SIM."""

    async def receipt(self) -> Receipt:
        """Waits for the next delivery receipt; cancelling loses none."""

    async def quiet(self) -> None:
        """Waits until no receipt is expected any moment; a stopping agent gives it a few seconds."""

    async def arrivals(self) -> list[Arrival]:
        """Waits for texts that came in; at least one. Shown again until forgotten."""

    async def forget(self, ids: list[str]) -> None:
        """These arrivals are in the journal; the radio drops them."""
