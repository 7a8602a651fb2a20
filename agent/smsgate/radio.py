"""Android's side of sending: takes what the app hands over and says later what became of it; writes a line a send."""

import asyncio
import hashlib
import json
import os
import random
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from agent.ids import message_of
from agent.smsgate.clock import Clock
from agent.smsgate.wire import Sim

OK: Final = "RESULT_OK"

_CHANCE_CODES: Final = ("RESULT_ERROR_NO_SERVICE", "RESULT_NETWORK_REJECT", "RESULT_ERROR_GENERIC_FAILURE")
_LINES_IN_MEMORY: Final = 10_000

Stage = Literal["sent", "delivered"]


class Handed(NamedTuple):
    """One text for one recipient; `number` as the server wrote it, `dialled` as the radio gets it."""

    message: str
    sim: int
    number: str
    dialled: str
    content: bytes
    wants_delivery: bool


class Threw(Exception):
    """Android refused to take the text at all."""


OnResult = Callable[[Handed, Stage, str], Awaitable[None]]
"""What became of a text: the stage and Android's result code."""


class Radio(Protocol):
    """What the app knows of Android's telephony."""

    @property
    def sims(self) -> Sequence[Sim]:
        """The SIMs, which do not change."""

    def start(self, tasks: asyncio.TaskGroup, on_result: OnResult) -> None:
        """Results go to `on_result`, out of tasks that `tasks` owns."""

    def hand_over(self, handed: Handed) -> None:
        """Takes one text, which may be sent from now on whatever becomes of the app. Raises Threw."""

    async def quiet(self) -> None:
        """Waits until no result is due any more."""


class SimulatedRadio:
    """Two SIMs that send into a file, or with `log_file` None into `lines` alone.

    A text is performed once its line stands there, as it is handed over: Android goes on when the app is killed.
    Nothing reads the lines back or dedupes them.
    """

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        rng: random.Random,
        log_file: Path | None = None,
        delay_ms: int = 20,
        delivery_ms: int = 100,
        failure_rate: float = 0.0,
        slots: Sequence[int] = (1, 2),
    ) -> None:
        """`failure_rate`: the share of sends, 0 to 1, that fail unperformed."""
        base = zlib.crc32(name.encode()) % 1_000_000
        self.sims = [Sim(slot, f"+1555{base:06d}{slot}", "Simulated") for slot in slots]
        self.lines: deque[dict[str, object]] = deque(maxlen=_LINES_IN_MEMORY)
        self.codes: dict[Stage, deque[str]] = {"sent": deque(), "delivered": deque()}
        """Android's results of the next texts at each stage, first one first; RESULT_OK where none is left."""
        self.throws: deque[str] = deque()
        """Why the next texts are not even taken."""
        self._log_file = log_file
        self._clock = clock
        self._rng = rng
        self.pace(delay_ms, delivery_ms)
        self._failure_rate = failure_rate
        self._busy = {slot: asyncio.Lock() for slot in slots}
        self._due = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._tasks: asyncio.TaskGroup | None = None
        self._on_result: OnResult | None = None

    def pace(self, delay_ms: int, delivery_ms: int = 0) -> None:
        """From now on a send takes `delay_ms`, and its receipt comes `delivery_ms` later."""
        self._delay_s = delay_ms / 1000
        self._delivery_s = delivery_ms / 1000

    def start(self, tasks: asyncio.TaskGroup, on_result: OnResult) -> None:
        """Results go to `on_result`, out of tasks that `tasks` owns."""
        self._tasks, self._on_result = tasks, on_result

    def hand_over(self, handed: Handed) -> None:
        """Performs one send, unless it fails by chance or as told. Raises Threw."""
        if self._tasks is None:
            raise Threw("the telephony service is not there")
        if self.throws:
            raise Threw(self.throws.popleft())
        code = self._next("sent")
        if code == OK and self._rng.random() < self._failure_rate:
            code = self._rng.choice(_CHANCE_CODES)
        if code == OK:
            try:
                self._perform(handed)
            except OSError as error:
                raise Threw(f"the radio's log cannot be written: {error}") from error
        self._due += 1
        self._quiet.clear()
        self._tasks.create_task(self._see_through(handed, code))

    async def quiet(self) -> None:
        """Waits until the last result of each text was told."""
        await self._quiet.wait()

    def _next(self, stage: Stage) -> str:
        codes = self.codes[stage]
        return codes.popleft() if codes else OK

    async def _see_through(self, handed: Handed, code: str) -> None:
        assert self._on_result is not None
        async with self._busy[handed.sim]:
            await self._clock.sleep(self._delay_s)
        await self._on_result(handed, "sent", code)
        if code == OK and handed.wants_delivery:
            await self._clock.sleep(self._delivery_s)
            await self._on_result(handed, "delivered", self._next("delivered"))
        self._due -= 1
        if not self._due:
            self._quiet.set()

    def _perform(self, handed: Handed) -> None:
        line: dict[str, object] = {
            "attempt_id": handed.message,
            "message_id": message_of(handed.message),
            "number": handed.dialled,
            "channel": "sms",
            "sim": handed.sim,
            "text_sha256": hashlib.sha256(handed.content).hexdigest(),
            "time": self._clock.now_ms(),
        }
        if self._log_file is not None:
            data = json.dumps(line).encode() + b"\n"
            descriptor = os.open(self._log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.write(descriptor, data) != len(data):
                    raise OSError("a line was cut short")
            finally:
                os.close(descriptor)
        self.lines.append(line)
