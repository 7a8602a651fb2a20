"""Which queues a phone may serve and which phones may serve a queue: pure rules, no I/O."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class QueueKey(NamedTuple):
    """What decides fitness: account, pinned device or any, pinned SIM slot or any, channel."""

    account: int
    device: str | None
    sim: int | None
    channel: str


class OnlinePhone(NamedTuple):
    """A phone with an open session, as the choice of whom to wake needs it."""

    device: str
    account: int
    channels: tuple[str, ...]
    slots: tuple[int, ...]


def queues_of(account: int, device: str, slots: Iterable[int], channels: Iterable[str]) -> list[QueueKey]:
    """Every queue that these SIMs of this phone may serve; `sim` is None where any of them may."""
    sims: list[int | None] = [None, *slots]
    return [
        QueueKey(account, pinned_device, sim, channel)
        for channel in channels
        for pinned_device in (device, None)
        for sim in sims
    ]


def may_serve(phone: OnlinePhone, queue: QueueKey) -> bool:
    """Whether some SIM of this phone may serve the queue."""
    return (
        phone.account == queue.account
        and queue.channel in phone.channels
        and queue.device in (None, phone.device)
        and (queue.sim is None or queue.sim in phone.slots)
    )


WAKES_PER_MESSAGE = 2
"""A message that becomes ready wakes at most this many phones."""


def phones_to_wake(phones: Sequence[OnlinePhone], ready: Iterable[tuple[QueueKey, int]], turn: int) -> list[str]:
    """The phones to wake for so many ready messages of each queue; `turn` rotates who comes first."""
    chosen: dict[str, None] = {}
    for queue, messages in ready:
        suitable = [phone.device for phone in phones if may_serve(phone, queue)]
        if suitable:
            start = turn % len(suitable)
            rotated = suitable[start:] + suitable[:start]
            chosen.update(dict.fromkeys(rotated[: messages * WAKES_PER_MESSAGE]))
    return list(chosen)
