"""The gateway's memory of keys, with auth there, behind, changed, silent and gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client

from services.gateway.epochs import Epochs
from services.gateway.verdicts import MAX_UNKNOWN, Verdicts
from shared.bus.rpc import RpcClient
from shared.contracts.rpc.auth import AuthChanged, Verdict
from shared.errors import Unavailable
from shared.security.secrets import digest
from tests.conftest import Eventually
from tests.support.gateway import ACCOUNT, KEY, OTHER_KEY, Auth
from tests.support.waiting import until

GOOD = digest(KEY)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def auth(nats_client: Client) -> AsyncIterator[Auth]:
    played = Auth(nats_client)
    await played.start()
    yield played
    await played.leave()


@pytest.fixture
def epochs(clock: Clock) -> Epochs:
    return Epochs(clock)


@pytest.fixture
async def verdicts(nats_client: Client, auth: Auth, epochs: Epochs, clock: Clock) -> AsyncIterator[Verdicts]:
    made = Verdicts("api_key", RpcClient(nats_client), epochs, clock, stale_s=86_400)
    yield made
    await made.close()


def heard(epochs: Epochs, epoch: int) -> None:
    epochs.changed(msgspec.msgpack.encode(AuthChanged(epoch)))


async def pass_time(epochs: Epochs, clock: Clock, seconds: float, epoch: int) -> None:
    """Time passes while auth is heard each second."""
    for _ in range(int(seconds)):
        clock.now += 1
        heard(epochs, epoch)


async def test_a_verdict_is_asked_for_once_in_sixty_seconds(
    verdicts: Verdicts, epochs: Epochs, auth: Auth, clock: Clock
) -> None:
    assert verdicts.fresh(GOOD) is None
    found = await asyncio.gather(*(verdicts.of(GOOD) for _ in range(50)))
    assert {verdict.account for verdict in found} == {ACCOUNT}
    assert len(auth.asked) == 1
    await pass_time(epochs, clock, 59, 1)
    assert verdicts.fresh(GOOD) is not None
    await pass_time(epochs, clock, 1, 1)
    assert verdicts.fresh(GOOD) is None
    await verdicts.of(GOOD)
    assert len(auth.asked) == 2


async def test_an_unknown_key_is_remembered_for_five_seconds(
    verdicts: Verdicts, epochs: Epochs, auth: Auth, clock: Clock
) -> None:
    unknown = digest("nobody's")
    for _ in range(3):
        assert (await verdicts.of(unknown)).account is None
    assert len(auth.asked) == 1
    assert verdicts.fresh(unknown) is None
    await pass_time(epochs, clock, 5, 1)
    auth.accounts[unknown] = Verdict(epoch=0, account=3)
    assert (await verdicts.of(unknown)).account == 3


async def test_a_change_makes_verdicts_stale(verdicts: Verdicts, epochs: Epochs, auth: Auth) -> None:
    await verdicts.of(GOOD)
    unknown = digest("not yet")
    await verdicts.of(unknown)
    auth.epoch = 2
    auth.accounts[GOOD] = Verdict(epoch=0)
    auth.accounts[unknown] = Verdict(epoch=0, account=5)
    heard(epochs, 2)
    assert verdicts.fresh(GOOD) is None
    assert (await verdicts.of(GOOD)).account is None
    assert (await verdicts.of(unknown)).account == 5


async def test_a_replica_that_is_behind_is_asked_again(
    verdicts: Verdicts, epochs: Epochs, auth: Auth, eventually: Eventually
) -> None:
    heard(epochs, 2)
    asking = asyncio.create_task(verdicts.of(GOOD))

    async def asked() -> bool:
        return bool(auth.asked)

    await eventually(asked)
    auth.epoch = 2
    assert (await asking).account == ACCOUNT
    assert len(auth.asked) == 2


async def test_a_replica_that_stays_behind_is_not_believed(verdicts: Verdicts, epochs: Epochs, auth: Auth) -> None:
    heard(epochs, 2)
    with pytest.raises(Unavailable):
        await verdicts.of(GOOD)
    assert len(auth.asked) > 5


async def test_silence_and_a_broken_connection_put_all_in_doubt(
    verdicts: Verdicts, epochs: Epochs, auth: Auth, clock: Clock
) -> None:
    await verdicts.of(GOOD)
    clock.now += 3.1
    assert verdicts.fresh(GOOD) is None
    await verdicts.of(GOOD)
    assert verdicts.fresh(GOOD) is not None
    clock.now += 1
    heard(epochs, 1)
    assert verdicts.fresh(GOOD) is None, "a gap ended: asked anew"
    await verdicts.of(GOOD)
    clock.now += 0.5
    epochs.reconnected()
    assert verdicts.fresh(GOOD) is None
    await verdicts.of(GOOD)
    assert len(auth.asked) == 4


@pytest.mark.parametrize("silent", [True, False])
async def test_a_good_key_outlives_auth(
    verdicts: Verdicts, auth: Auth, clock: Clock, eventually: Eventually, silent: bool
) -> None:
    await verdicts.of(GOOD)
    if silent:
        auth.silent = True
    else:
        await auth.leave()
    clock.now += 61
    assert (await verdicts.of(GOOD)).account == ACCOUNT
    before = asyncio.get_running_loop().time()
    for _ in range(100):
        assert (await verdicts.of(GOOD)).account == ACCOUNT
    assert asyncio.get_running_loop().time() - before < 0.5, "nobody waits once auth is known to be away"
    with pytest.raises(Unavailable):
        await verdicts.of(digest(OTHER_KEY))
    clock.now += 86_400
    with pytest.raises(Unavailable):
        await verdicts.of(GOOD)
    if silent:
        auth.silent = False
    else:
        await auth.start()

    async def known_again() -> bool:
        clock.now += 1
        try:
            return (await verdicts.of(digest(OTHER_KEY))).account is not None
        except Unavailable:
            return False

    await eventually(known_again)


async def test_a_restored_database_counts_after_ten_seconds(
    verdicts: Verdicts, epochs: Epochs, auth: Auth, clock: Clock
) -> None:
    auth.epoch = 9
    heard(epochs, 9)
    await verdicts.of(GOOD)
    auth.epoch = 4
    await pass_time(epochs, clock, 10, 4)
    assert verdicts.fresh(GOOD) is not None
    await pass_time(epochs, clock, 1, 4)
    assert verdicts.fresh(GOOD) is None
    assert (await verdicts.of(GOOD)).epoch == 4


async def test_unknown_keys_take_bounded_room(verdicts: Verdicts) -> None:
    async def asked(number: int) -> None:
        async def answered() -> bool:
            # On a busy machine one of thousands of questions may miss its deadline.
            with contextlib.suppress(Unavailable):
                await verdicts.of(digest(str(number)))
                return True
            return False

        await until(answered, "auth has answered")

    for start in range(0, MAX_UNKNOWN + 200, 20):
        await asyncio.gather(*map(asked, range(start, start + 20)))
    assert len(verdicts._unknown) == MAX_UNKNOWN


async def test_noise_is_no_broadcast(verdicts: Verdicts, epochs: Epochs) -> None:
    await verdicts.of(GOOD)
    epochs.changed(b"noise")
    assert verdicts.fresh(GOOD) is not None
