"""Receivers that fail: what is tried again, what is named how, and who is not disturbed by it."""

import pytest

from shared.db.pool import Pool
from shared.runtime.service import Service
from tests.conftest import Eventually
from tests.support.hostile import Answer, HostileReceiver
from tests.support.webhooks import World

HANG = Answer(behaviour="hang")


@pytest.fixture
def world(webhooks: Service, webhooks_world: World) -> World:
    return webhooks_world


async def test_after_an_error_it_is_tried_again_five_seconds_later(
    pool: Pool, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    receiver.answers = [Answer(500)]
    account = await world.account()
    await world.endpoint(account, receiver.url)
    await world.publish(await world.text(account))

    async def failed_once() -> bool:
        return len(await world.attempts()) == 1

    await eventually(failed_once)
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("pending", 1)
    assert delivery["last_error"] == "status: It answered HTTP 500."
    wait = await pool.fetchval("select extract(epoch from next_attempt_at - now()) from deliveries")
    assert 2 < wait <= 6
    await world.skip_waiting()
    await eventually(lambda: world.all_are("delivered"))
    assert [(each["number"], each["status"]) for each in await world.attempts()] == [(1, 500), (2, 200)]
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [each.headers["webhook-attempt"] for each in (first, second)] == ["1", "2"]


async def test_a_receiver_that_is_away_gets_it_soon_after_its_return_at_no_attempt_s_cost(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    await receiver.stop()
    account = await world.account()
    await world.endpoint(account, receiver.url)
    await world.publish(await world.text(account))

    async def tried_three_times() -> bool:
        return len(await world.attempts()) >= 3

    await eventually(tried_three_times)
    await receiver.start()
    await eventually(lambda: world.all_are("delivered"))
    (delivery,) = await world.deliveries()
    assert delivery["attempts"] == 1
    numbers = [each["number"] for each in await world.attempts()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {each["error"] for each in await world.attempts()} == {"connect", None}


async def test_a_redirect_is_a_failure_and_named_as_such(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    async with HostileReceiver() as elsewhere:
        receiver.default = Answer(302, headers={"Location": elsewhere.url})
        account = await world.account()
        await world.endpoint(account, receiver.url)
        await world.publish(await world.text(account))

        async def failed() -> bool:
            return bool(await world.attempts())

        await eventually(failed)
        (attempt,) = await world.attempts()
        assert (attempt["status"], attempt["error"]) == (302, "redirect")
        assert elsewhere.connections == 0


async def test_an_endpoint_that_hangs_has_few_at_once_and_delays_no_other(
    world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    receiver.default = HANG
    account = await world.account()
    hanging = await world.endpoint(account, receiver.url)
    await world.due(account, hanging, 200)

    async def it_hangs() -> bool:
        return len(receiver.requests) >= 4

    await eventually(it_hangs)
    assert len(receiver.requests) == 4
    async with HostileReceiver() as healthy:
        await world.due(account, await world.endpoint(account, healthy.url), 5)

        async def the_healthy_one_has_all() -> bool:
            return len(healthy.requests) == 5

        await eventually(the_healthy_one_has_all)

    async def its_window_is_shrinking() -> bool:
        return bool((await world.state(hanging))["width"] == 1)

    await eventually(its_window_is_shrinking)
    assert {each["error"] for each in await world.attempts()} == {"timeout", None}


async def test_an_endpoint_whose_secrets_cannot_be_opened_gets_nothing_unsigned(
    pool: Pool, world: World, receiver: HostileReceiver, eventually: Eventually
) -> None:
    account = await world.account()
    endpoint = await world.endpoint(account, receiver.url)
    await pool.execute("update endpoint_secrets set key_id = 'another'")
    await world.due(account, endpoint, 1)

    async def failed() -> bool:
        return bool(await world.attempts())

    await eventually(failed)
    assert (await world.attempts())[0]["error"] == "secret"
    assert receiver.requests == []
