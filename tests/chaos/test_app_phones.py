"""Phones of the app's kind: one of two gateways behind Caddy is restarted under them; one kind of phone dies, and the
other takes over. Nothing lost, nothing sent twice."""

import asyncio
import contextlib
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from deploy.local.ports import free_port
from services.gateway.openfiles import raise_limit
from tests.support.agents import SIMS, Agent
from tests.support.caddies import Front, shipped_caddy
from tests.support.counter import count, lines
from tests.support.gateways import Gateway
from tests.support.outcomes import Outcomes, accepted_at, leave_for
from tests.support.scale import scaled
from tests.support.smsgate_agents import AppPhone
from tests.support.smsgate_fleet import AppFleet
from tests.support.steady import Steady
from tests.support.system import System, running_system
from tests.support.waiting import until

PHONES = scaled(small=200, one=200, full=2000)
PER_S = 20.0
SETTLED_S = 3.0
"""How long the program sends before the gateway stops, and after the last phone is back."""

DRAIN_S = 5
AGAIN_S = 5.0
"""The app opens its stream again so long after it ended."""

MOST_SHARE = 0.4
"""Of the phones that come back, at most so many in any second; spread evenly over the drain it is a fifth."""

BACK_S = 60.0
SOON_S = 20.0
MOST_LATE = 0.2
"""Of the messages, at most so many are in lists that did not arrive: the phone is given those again after 5 minutes."""

AGAIN_AFTER_S = 310
ALL_S = 120.0

AHEAD_S = 15
"""An app holds what it can send in so many seconds; the one that dies rests for one second after each text."""

TAKEN_BY_APP = AHEAD_S + SIMS
TAKEN_BY_SOCKET = 2 * SIMS
"""What a phone may have taken and not sent when it dies: one in the radio, one ahead or on its way for each SIM."""

MIXED = scaled(small=120, one=120, full=400)
MIXED_PER_S = 8.0

pytestmark = pytest.mark.timeout(600)


class Program:
    """Sends texts through Caddy, at so many a second, until it is told to stop."""

    def __init__(self, front: Front, key: str, name: str) -> None:
        """`key`: the account's."""
        self._front = front
        self._key = key
        self._name = name
        self._enough = asyncio.Event()
        self.answers: list[dict[str, Any]] = []
        """As tests/support/counter.py reads them."""

    async def run(self) -> None:
        """Returns when the last send has ended."""
        connector = aiohttp.TCPConnector(limit=0, ssl=self._front.context())
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as sends:
            number = 0
            while not self._enough.is_set():
                number += 1
                sends.create_task(self._send(session, f"{self._name} {number}", f"+1555{number:07}"))
                await asyncio.sleep(1 / PER_S)  # The pace of the load.

    def stop(self) -> None:
        """Begins no further send."""
        self._enough.set()

    async def _send(self, session: aiohttp.ClientSession, text: str, to: str) -> None:
        form = {"apikey": self._key, "recipients": to, "message": text}
        status, body = None, None
        try:
            async with asyncio.timeout(20), session.post(f"{self._front.url}/sendsms/", data=form) as answer:
                status, body = answer.status, await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            body = repr(error)
        self.answers.append({"text": text, "status": status, "body": body})


@pytest.fixture
def folder() -> Iterator[Path]:
    """Caddy's folder."""
    made = Path(tempfile.mkdtemp(prefix="smsfleet-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def test_a_gateway_is_restarted(seed: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    raise_limit()
    port = free_port()
    settings = {"SMSFLEET_PUBLIC_URL": f"https://localhost:{port}", "SMSFLEET_DRAIN_S": str(DRAIN_S)}
    async with running_system(SMSFLEET_PHONE="0") as system:
        gateways = [Gateway(system, **settings) for _ in range(2)]
        try:
            await asyncio.gather(*(gateway.start() for gateway in gateways))
            places = [gateway.base_url.removeprefix("http://") for gateway in gateways]
            async with (
                shipped_caddy(folder, port, places) as front,
                AppFleet.running(PHONES, front, system.credentials["enrolment_key"]) as fleet,
            ):
                program = Program(front, system.key, f"restart {seed}")
                sending = asyncio.create_task(program.run())
                await leave_for(SETTLED_S)
                stopped_at = time.time()
                await gateways[0].stop()
                gone_s = time.time() - stopped_at
                await gateways[0].start()
                await fleet.all_listen(BACK_S)
                await leave_for(SETTLED_S)
                program.stop()
                await sending
                late = await _late(program, fleet)
                await _pass_time(system)
                fleet.ask()
                await until(lambda: _all_performed(program, fleet), "the radios performed everything", ALL_S)
                told = count(program.answers, fleet.performed)
                back = [([*each.opened], [*each.closed]) for each in fleet.members if each.closed]
        finally:
            for gateway in gateways:
                await gateway.stop()
        dead = await system.dead()
    returns = sorted(opened[-1] - stopped_at for opened, _ in back)
    by_second = Counter(int(moment - returns[0]) for moment in returns)
    statuses = Counter(answer["status"] for answer in program.answers)
    with capsys.disabled():
        print(
            f"\n  one of two gateways restarted under {PHONES} phones of the app, seed {seed}: it held {len(back)} and"
            f" was gone after {gone_s:.1f} s; they came back from {returns[0]:.1f} to {returns[-1]:.1f} s after the"
            f" signal, in each second {[by_second[second] for second in range(max(by_second) + 1)]};"
            f" answers {dict(statuses)}, {told.accepted} accepted, {told.performed} performed, {late} of them late;"
            f" {time.monotonic() - begun:.1f} s"
        )
    assert told.right, told
    assert set(statuses) == {200}, [answer for answer in program.answers if answer["status"] != 200][:3]
    assert PHONES / 4 < len(back) < PHONES * 3 / 4, "both gateways held phones"
    assert {(len(opened), len(closed)) for opened, closed in back} == {(2, 1)}, "each came back at its first try"
    assert all(opened[1] - closed[0] >= AGAIN_S for opened, closed in back)
    assert max(by_second.values()) <= MOST_SHARE * len(back), by_second
    assert late <= MOST_LATE * told.accepted
    assert not dead


@pytest.mark.parametrize("victim", ["app", "socket"])
async def test_one_kind_takes_over(seed: int, victim: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun, name = time.monotonic(), f"{victim} dies {seed}"
    rng, answers = random.Random(name), tmp_path / "answers.jsonl"
    async with running_system(SMSFLEET_PHONE="0") as system:
        # The socket's phone is slower than the load, so that the other one is given work too.
        app, socket = AppPhone(system, "app"), Agent(system, "socket", _socket_url(system), delay_ms=400)
        dying, other = (app, socket) if victim == "app" else (socket, app)
        outcomes, load = Outcomes(system, answers), Steady(system.base_url, system.key, name, answers)
        killed_at = float("inf")
        try:
            await asyncio.gather(app.start(), socket.start())
            limits = ("--per-minute", "0", "--per-hour", "0", "--per-day", "0")
            await system.cli("phone", "budget", app.device, *limits, *(("--delay", "1-1") if dying is app else ()))
            loading = asyncio.create_task(
                load.run(MIXED, MIXED_PER_S, more=lambda: time.time() < killed_at + SETTLED_S)
            )

            async def both_send() -> bool:
                return min(len(_performed(phone)) for phone in (app, socket)) >= 3

            await until(both_send, "both kinds send", ALL_S)
            await asyncio.sleep(rng.uniform(0, 2))  # The random moment of the kill.
            killed_at = time.time()
            await dying.kill()
            await loading
            most_taken = TAKEN_BY_APP if dying is app else TAKEN_BY_SOCKET
            await outcomes.all_performed(ALL_S, but=most_taken)
            accepted, left = outcomes.accepted, list[dict[str, Any]]()

            async def only_the_dead_one_has_them() -> bool:
                left[:] = [await system.cli("message", "show", accepted[text]) for text in outcomes.count().lost]
                return {(story["state"], story["device"]) for story in left} <= {("taken", dying.device)}

            await until(only_the_dead_one_has_them, "what is not performed was taken by the dead one", ALL_S)
            late = {guid for guid in accepted.values() if accepted_at(guid) > killed_at}
            assert late - {story["id"] for story in left} <= set(_performed(other)), "the other kind has taken over"
            alone, own = len(late), len(_performed(dying))
            await dying.start()
            await outcomes.all_performed(ALL_S, but=SIMS if dying is socket else 0)
            unknown = await outcomes.settled(ALL_S)
            told = outcomes.count()
        finally:
            await asyncio.gather(app.stop(), socket.stop())
        shares = {phone.name: len(_performed(phone)) for phone in (app, socket)}
    with capsys.disabled():
        print(
            f"\n  a mixed fleet whose {victim} phone is killed, seed {seed}: {told.accepted} of {load.sent} accepted,"
            f" {told.performed} performed, {shares}; {own} by the dead one before, {alone} by the other alone while"
            f" {len(left)} waited for the dead one; {len(unknown)} unknown; {time.monotonic() - begun:.1f} s"
        )
    assert not [*told.doubled, *told.other_id, *told.strangers, *told.same_text], told
    assert told.accepted == load.sent
    assert {accepted[text] for text in told.lost} <= {story["id"] for story in unknown}
    assert len(unknown) <= (SIMS if dying is socket else 0), json.dumps(unknown)[:2000]
    assert min(shares.values()) > 0


async def _all_performed(program: Program, fleet: AppFleet) -> bool:
    return not count(program.answers, fleet.performed).lost


async def _late(program: Program, fleet: AppFleet) -> int:
    """How many of the messages are not performed soon."""
    with contextlib.suppress(AssertionError):
        await until(lambda: _all_performed(program, fleet), "all is performed", SOON_S)
    return len(count(program.answers, fleet.performed).lost)


async def _pass_time(system: System) -> None:
    """As if all that phones hold had been taken five minutes earlier."""
    connection = await asyncpg.connect(system.connections["database_url"], timeout=10)
    try:
        await connection.execute(
            "update work set taken_at = taken_at - make_interval(secs => $1)", AGAIN_AFTER_S, timeout=10
        )
    finally:
        await connection.close()


def _socket_url(system: System) -> str:
    return system.base_url.replace("http", "ws", 1) + "/phone/v1/socket"


def _performed(phone: Agent) -> list[str]:
    return [line["message_id"] for line in lines([phone.folder / "radio.jsonl"])]
