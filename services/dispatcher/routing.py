"""Which queues a phone may serve, which phones may serve a queue, and which one is preferred: pure rules, no I/O."""

import bisect
import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple


class QueueKey(NamedTuple):
    """What decides fitness: account, pinned device or any, pinned SIM slot or any, channel."""

    account: int
    device: str | None
    sim: int | None
    channel: str


class OnlinePhone(NamedTuple):
    """A phone with an open session, as the choice of phones needs it.

    `seconds_each`: from taking to word of the sending, on average; None: nothing is known yet. `per_s`: parts a second
    that its budgets allow in the long run; None: any number. `ahead`: parts that it holds or that wait for it alone.
    `failure_rate`: 0 to 1, of what it sent lately.
    """

    device: str
    account: int
    channels: tuple[str, ...]
    slots: tuple[int, ...]
    seconds_each: float | None = None
    per_s: float | None = None
    ahead: int = 0
    failure_rate: float = 0.0

    @property
    def parts_per_s(self) -> float:
        """How fast it is likely to send: by its own pace, and not faster than its budgets allow."""
        seconds = GUESSED_SECONDS_EACH if self.seconds_each is None else max(self.seconds_each, LEAST_SECONDS_EACH)
        pace = max(len(self.slots), 1) / seconds
        return pace if self.per_s is None else min(pace, self.per_s)


class Chosen(NamedTuple):
    """Preferred phones for a command's recipients, in their order; None: any phone might as well have it.

    `within_reach`: phones that are worth waiting for where they are the one that last talked to the recipient.
    """

    devices: Sequence[str | None]
    within_reach: Sequence[str]


SPILL_S: Final = 5.0
"""A message waits this long for the preferred phone, then any may send it."""

GUESSED_SECONDS_EACH: Final = 2.0
"""Seconds that a text takes on a phone that has sent none yet: phones send 20 to 40 a minute."""

LEAST_SECONDS_EACH: Final = 0.02

FAILING: Final = 0.3
"""A phone is failing when it fails at least this part of its texts and twice as many as its account's others."""

WAKES_PER_MESSAGE: Final = 2
"""A message that becomes ready wakes at most this many phones."""


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


def phones_to_wake(phones: Sequence[OnlinePhone], ready: Iterable[tuple[QueueKey, int]], turn: int) -> list[str]:
    """The phones to wake for so many ready messages of each queue; `turn` rotates who comes first."""
    chosen: dict[str, None] = {}
    of_device = {phone.device: phone for phone in phones}
    for queue, messages in ready:
        # Thousands of phones at once may each give back what only they may send.
        candidates = phones if queue.device is None else filter(None, [of_device.get(queue.device)])
        suitable = [phone.device for phone in candidates if may_serve(phone, queue)]
        if suitable:
            start = turn % len(suitable)
            rotated = suitable[start:] + suitable[:start]
            chosen.update(dict.fromkeys(rotated[: messages * WAKES_PER_MESSAGE]))
    return list(chosen)


def failing(phones: Sequence[OnlinePhone]) -> frozenset[str]:
    """The phones of one account that fail far more than the others do; none where there is nothing to compare with."""
    rates = sorted(phone.failure_rate for phone in phones)
    found = set()
    for phone in phones:
        if phone.failure_rate >= FAILING and len(rates) > 1:
            place = bisect.bisect_left(rates, phone.failure_rate)
            if phone.failure_rate > 2 * _median_without(rates, place):
                found.add(phone.device)
    return frozenset(found)


def _median_without(ordered: Sequence[float], place: int) -> float:
    """The median of all but one, without a copy: a fleet of thousands is looked at every second."""
    count = len(ordered) - 1
    low, high = (count - 1) // 2, count // 2
    return (ordered[low + (low >= place)] + ordered[high + (high >= place)]) / 2


class Choice:
    """Prefers, for messages that any phone may send, the one with the shortest expected wait.

    Counts what it gave out itself, so that it stays right between two looks at the fleet.
    """

    def __init__(self, phones: Sequence[OnlinePhone], backlog: Mapping[QueueKey, int]) -> None:
        """`backlog`: parts that wait in the queues that any phone serves."""
        by_account: dict[int, list[OnlinePhone]] = defaultdict(list)
        for phone in phones:
            by_account[phone.account].append(phone)
        self.failing = frozenset[str]().union(*(failing(group) for group in by_account.values()))
        """The phones that get less because they fail."""
        self._healthy = {
            account: [phone for phone in group if phone.device not in self.failing]
            for account, group in by_account.items()
        }
        self._backlog = backlog
        self._lines: dict[tuple[int, str], list[tuple[float, str, float]]] = {}

    def has_healthy(self, account: int) -> bool:
        """Whether a phone of the account is online that is not failing."""
        return bool(self._healthy.get(account))

    def within_reach(self, account: int, channel: str) -> list[str]:
        """The phones whose expected wait is below the spill time: worth waiting for if they know the recipient."""
        return [device for wait, device, _ in self._line(account, channel) if wait < SPILL_S]

    def choose(self, account: int, channel: str, parts: int) -> str | None:
        """The preferred phone; None where any phone might as well have it, because all are busy for longer."""
        line = self._line(account, channel)
        if not line or line[0][0] >= SPILL_S:
            return None
        wait, device, rate = line[0]
        heapq.heapreplace(line, (wait + parts / rate, device, rate))
        return device

    def _line(self, account: int, channel: str) -> list[tuple[float, str, float]]:
        """A heap of expected wait in seconds, phone, and its parts a second."""
        line = self._lines.get((account, channel))
        if line is None:
            serving = [phone for phone in self._healthy.get(account, ()) if channel in phone.channels]
            shared = self._backlog.get(QueueKey(account, None, None, channel), 0)
            together = sum(phone.parts_per_s for phone in serving)
            line = [
                (phone.ahead / phone.parts_per_s + shared / together, phone.device, phone.parts_per_s)
                for phone in serving
            ]
            heapq.heapify(line)
            self._lines[(account, channel)] = line
        return line


def drain_rate(phones: Sequence[OnlinePhone], queue: QueueKey) -> float:
    """Parts a second that the online phones are likely to take off this queue; 0 where none serves it."""
    return sum(phone.parts_per_s for phone in phones if may_serve(phone, queue))
