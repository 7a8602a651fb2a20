"""Decides what to ask the gateway for and what to do with a job; no input or output, so it can be proved.

One lane for each SIM: up to two jobs are *held* (offered, not taken), at most one is *ahead* (taken while the
radio sends another) and at most one is *in the radio*. Only the last is written down as sending, so a sudden
death leaves at most one attempt of each SIM unknown; one that was ahead is offered again and then sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from agent.journal import State
from shared.contracts.phone import Job, Ready

PLACES: Final = 2
"""Untaken jobs that are asked for, for each SIM."""

HOLD_LIMIT: Final = 8
"""Untaken jobs that are kept for each SIM when the gateway gives more than it was asked for."""

Verdict = Literal["held", "ignored", "report_again", "report_unknown"]
"""What becomes of an offered job.

held: kept until it is taken. ignored: in hand already, too old, or too many; it may be offered again.
report_again: its outcome stands in the journal. report_unknown: a former life of this agent began to send it.
"""


Unsendable = Literal["no_sim", "no_channel"]
"""Why a job is failed without the radio."""


@dataclass
class _Lane:
    held: dict[str, Job] = field(default_factory=dict)
    asking: str | None = None
    ahead: Job | None = None
    in_radio: str | None = None


class Desk:
    """All work in hand. An attempt stands here from its offer until its outcome was given to the journal."""

    def __init__(self, slots: Iterable[int], channels: Iterable[str] = ("sms",)) -> None:
        """`slots`: the SIMs; `channels`: what they can send."""
        self._lanes = {slot: _Lane() for slot in slots}
        self._channels = frozenset(channels)
        self._due = True
        self._closed = False

    def close(self) -> None:
        """Nothing is asked for or taken any more; the untaken is forgotten."""
        self._closed = True
        self.connection_lost()

    @property
    def closed(self) -> bool:
        """Whether the agent is stopping."""
        return self._closed

    def connection_lost(self) -> None:
        """Forgets the untaken, for its lease was the session's. What was taken stays ours."""
        for lane in self._lanes.values():
            lane.held.clear()
            lane.asking = None
        self._due = True

    def wake(self) -> None:
        """There may be work."""
        self._due = True

    def wants_to_ask(self, *, idle: bool) -> bool:
        """Whether to send `ready`: work may wait (or `idle`: not asked for long) and a place is free."""
        if self._closed or not (self._due or idle):
            return False
        return any(len(lane.held) < PLACES for lane in self._lanes.values())

    def ready(self) -> Ready:
        """The frame that asks, for all places at once."""
        self._due = False
        return Ready(
            places=dict.fromkeys(self._lanes, PLACES),
            held=[attempt for lane in self._lanes.values() for attempt in lane.held],
        )

    def in_hand(self, attempt: str) -> bool:
        """Whether the attempt is being worked on, in whatever stage."""
        return any(
            attempt in lane.held
            or attempt == lane.in_radio
            or (lane.ahead is not None and attempt == lane.ahead.attempt)
            for lane in self._lanes.values()
        )

    def offer(self, job: Job, known: State | None, now_ms: int) -> Verdict:
        """Judges an offered job; `known` is the journal's state of its attempt.

        `known` must have been read after it was found not to be in hand.
        """
        if self._closed or self.in_hand(job.attempt):
            return "ignored"
        if known is not None:
            return "report_unknown" if known == "sending" else "report_again"
        # A job for a SIM that is not there waits in any lane: it must be taken before it can be reported failed.
        lane = self._lanes.get(job.sim) or next(iter(self._lanes.values()))
        if now_ms >= job.valid_until_ms or len(lane.held) >= HOLD_LIMIT:
            return "ignored"
        lane.held[job.attempt] = job
        return "held"

    def unsendable(self, job: Job) -> Unsendable | None:
        """Why no radio of this phone can send the job, or None if one can."""
        if job.sim not in self._lanes:
            return "no_sim"
        return None if job.channel in self._channels else "no_channel"

    def to_take(self, now_ms: int) -> list[str]:
        """The attempts to name in a `take` now: the oldest one of each SIM that has nothing ahead."""
        asked: list[str] = []
        if self._closed:
            return asked
        for lane in self._lanes.values():
            if lane.ahead is not None or lane.asking is not None:
                continue
            for job in list(lane.held.values()):
                if now_ms < job.valid_until_ms:
                    lane.asking = job.attempt
                    asked.append(job.attempt)
                    break
                self._drop(lane, job.attempt)
        return asked

    def taken(self, asked: Iterable[str], granted: Iterable[str]) -> None:
        """The answer to a `take` of `asked`: what is not granted is not ours."""
        ours = frozenset(granted)
        for lane, attempt in self._asking(asked):
            lane.asking = None
            job = lane.held[attempt]
            self._drop(lane, attempt)
            if attempt in ours:
                lane.ahead = job

    def take_unanswered(self, asked: Iterable[str]) -> None:
        """No answer in time: nothing of it may be sent; it is still held and may be asked for again."""
        for lane, _ in self._asking(asked):
            lane.asking = None

    def begin(self, slot: int) -> Job | None:
        """The job that this SIM's radio gets now, if there is one; its outcome must be told by `finish`."""
        lane = self._lanes[slot]
        job, lane.ahead = lane.ahead, None
        lane.in_radio = None if job is None else job.attempt
        return job

    def finish(self, slot: int) -> None:
        """The outcome of what `begin` gave was handed to the journal."""
        self._lanes[slot].in_radio = None

    def _asking(self, asked: Iterable[str]) -> list[tuple[_Lane, str]]:
        names = frozenset(asked)
        return [(lane, lane.asking) for lane in self._lanes.values() if lane.asking in names and lane.asking]

    def _drop(self, lane: _Lane, attempt: str) -> None:
        del lane.held[attempt]
        self._due = True
