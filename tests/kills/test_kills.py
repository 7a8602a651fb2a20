"""kill -9 of each service at a random moment: whatever was answered 200 is sent exactly once."""

import random
import time
from collections.abc import AsyncIterator

import pytest

from tests.kills.rounds import SENDS, Ledger, kill_round
from tests.support import scale
from tests.support.system import System, running_system

SERVICES = ("gateway", "dispatcher", "webhooks", "auth")
MOST_TRIES = 5

pytestmark = [pytest.mark.kills, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
async def system() -> AsyncIterator[System]:
    """A system with two quick phones for all rounds."""
    async with running_system(SMSFLEET_PHONE_COUNT="2") as running:
        yield running


@pytest.fixture(scope="module")
def ledger(system: System, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """The answers of all rounds."""
    return Ledger(system, tmp_path_factory.mktemp("answers"))


@pytest.fixture(scope="module")
def seed() -> int:
    """Where all random moments come from."""
    return scale.seed()


@pytest.mark.parametrize("number", range(1, scale.kill_rounds() + 1))
@pytest.mark.parametrize("service", SERVICES)
async def test_what_was_accepted_is_sent_exactly_once(
    system: System, ledger: Ledger, service: str, number: int, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for attempt in range(1, MOST_TRIES + 1):
        name = f"{service} {number}.{attempt} seed {seed}"
        begun = time.monotonic()
        rng = random.Random(name)
        kill = await kill_round(system, ledger, service, name, rng, among_answers=number % 2 == 1)
        told = ledger.count()
        with capsys.disabled():
            print(
                f"\n  kill -9 {name}: {kill.ended} of {SENDS} sends had ended, {kill.performed} were performed;"
                f" {kill.in_flight} in flight ({kill.unanswered} unanswered, {kill.waiting} not yet on a radio);"
                f" of all so far {told['accepted']} accepted, {told['refused']} refused, {told['broken']} broken,"
                f" {told['performed']} performed; {time.monotonic() - begun:.1f} s"
            )
        assert told["right"], {key: value for key, value in told.items() if isinstance(value, list) and value}
        if kill.in_flight:
            return
    pytest.fail(f"{MOST_TRIES} rounds had nothing in flight at the kill")
