"""The pages of what became of events: deliveries, every post with its answer, and events sent once more."""

import re
from collections.abc import AsyncIterator

import msgspec
import pytest

from services.webhooks.app import open_service
from services.webhooks.settings import WebhooksSettings
from shared.bus.publisher import Publisher
from shared.contracts import registry
from shared.security.vault import Vault
from tests.conftest import SECRET
from tests.integration.conftest import QUICK
from tests.support.fleet import HOSTILE, Elements, assert_harmless, questions, signed_in
from tests.support.hostile import Answer, HostileReceiver
from tests.support.servers import Servers
from tests.support.smsgate_world import World, world
from tests.support.waiting import until
from tests.support.webhooks import World as Events

HOOKS = "/dashboard/webhooks"
LIST, DELIVERIES, ATTEMPTS = (
    each.subject
    for each in (registry.WEBHOOKS_ENDPOINT_LIST, registry.WEBHOOKS_DELIVERY_LIST, registry.WEBHOOKS_ATTEMPT_LIST)
)


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        told = msgspec.to_builtins(running.settings)
        async with open_service(msgspec.convert(told, WebhooksSettings), QUICK):
            yield running


@pytest.fixture
async def home(installation: World) -> World:
    await installation.begin()
    return installation


@pytest.fixture
def events(home: World) -> Events:
    publisher = Publisher(home.client.jetstream(timeout=5), registry.EVENTS, registry.EVENT_ENVELOPE)
    return Events(home.pool, Vault(SECRET), publisher)


async def test_a_delivery_is_seen_with_its_posts_and_sent_once_more(
    home: World, events: Events, receiver: HostileReceiver
) -> None:
    account = home.account.account
    endpoint = await events.endpoint(account, receiver.url, format="v2", max_window=1)
    path = f"{HOOKS}/{endpoint}"
    receiver.default = Answer(status=500, headers={"X-Said": HOSTILE.replace("\u202e", "")})
    await events.publish(await events.text(account, HOSTILE))
    async with signed_in(home) as browser:

        async def listed() -> Elements | None:
            elements = assert_harmless((await browser.get(f"{path}/deliveries?state=pending")).text)
            return elements if "500" in elements.text else None

        elements = await until(listed, "the delivery was tried")
        assert isinstance(elements, Elements)
        (delivery,) = {each for each in elements.values("a", "href") if re.fullmatch(f"{path}/deliveries/[0-9]+", each)}
        told = assert_harmless((await browser.get(delivery)).text).text
        assert '\\"//evil\\"' in told
        assert not [each for each in ("Attempt 1", "500", "X-Said", "first byte") if each not in told]
        assert "Attempt 1" in (await browser.get(f"{delivery}?attempt=1")).text
        assert (await browser.get(f"{delivery}?attempt=99999999999999999999")).status == 200
        assert await questions(browser, delivery) == {LIST: 1.0, ATTEMPTS: 1.0}
        assert await questions(browser, f"{path}/deliveries") == {LIST: 1.0, DELIVERIES: 1.0}
        for elsewhere in (f"{path}/deliveries/x", f"{path}/deliveries/{2**63}", f"{path}/deliveries/{2**62}"):
            assert (await browser.get(elsewhere)).status == 404
        other = await events.endpoint(account, receiver.url)
        assert (await browser.get(delivery.replace(endpoint, other))).status == 404

        receiver.default = Answer()
        page = await browser.get(path)
        await events.skip_waiting()

        async def delivered() -> bool:
            return (
                "delivered" in (await browser.get(f"{path}/deliveries?state=delivered")).text
                and (await home.pool.fetchval("select state from deliveries where endpoint_id = $1", endpoint))
                == "delivered"
            )

        await until(delivered, "the delivery is delivered")
        fields = {"state:delivered": "on", "since": "2026-01-01T00:00", "until": ""}
        counted = await browser.submit(page, f"{path}/replays", **fields)
        assert "1 event would be replayed" in assert_harmless(counted.text).text
        assert len(receiver.requests) == 2
        begun = await browser.submit(page, f"{path}/replays", **fields, step="begin")
        assert (begun.status, begun.location) == (303, f"{path}/replays?notice=webhooks.notice.replaying")

        async def replayed() -> bool:
            return "1 of 1 delivered" in assert_harmless((await browser.get(f"{path}/replays")).text).text

        await until(replayed, "the replay is done")
        again = await browser.submit(await browser.get(delivery), f"{delivery}/replay")
        assert (again.status, again.location) == (303, f"{delivery}?notice=webhooks.notice.replaying")

        async def thrice() -> bool:
            return len(receiver.requests) == 4

        await until(thrice, "its event was posted once more")
        assert (await browser.submit(page, f"{path}/deliveries/{2**62}/replay")).status == 404
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


async def test_a_replay_is_refused_in_words_and_can_be_stopped(
    home: World, events: Events, receiver: HostileReceiver
) -> None:
    account = home.account.account
    endpoint = await events.endpoint(account, receiver.url, format="v2", state="paused")
    path = f"{HOOKS}/{endpoint}/replays"
    for _ in range(3):
        await events.publish(await events.text(account))

    async def there() -> bool:
        count = await home.pool.fetchval("select count(*) from deliveries where endpoint_id = $1", endpoint)
        return bool(count == 3)

    await until(there, "the deliveries are made")
    await home.pool.execute(
        """
        update deliveries set state = 'expired', next_attempt_at = 'infinity', ended_at = now() where endpoint_id = $1
        """,
        endpoint,
    )
    await home.pool.execute("update endpoint_state set pending = 0 where endpoint_id = $1", endpoint)
    async with signed_in(home) as browser, signed_in(home, language="fr") as other:
        page, autre = await browser.get(path), await other.get(path)
        for fields, sentence in (
            ({"since": "x", "state:expired": "on"}, "That is not a valid date and time."),
            ({}, "Choose at least one kind of event."),
        ):
            refused = await browser.submit(page, path, **fields)
            assert (refused.status, sentence in refused.text) == (400, True)
        assert "3 événements seraient renvoyés" in (await other.submit(autre, path, **{"state:expired": "on"})).text
        begun = await browser.submit(page, path, **{"state:expired": "on", "step": "begin"})
        assert begun.status == 303
        twice = await browser.submit(page, path, **{"state:expired": "on", "step": "begin"})
        running = await browser.get(path)
        stops = [each for each in Elements(running.text).values("form", "action") if each.endswith("/cancel")]
        assert (twice.status, len(stops)) == (409, 1)
        stopped = await browser.submit(running, stops[0])
        assert (stopped.status, "was stopped" in (await browser.get(stopped.location)).text) == (303, True)
        again = await browser.submit(running, stops[0])
        assert (again.status, "already over" in again.text) == (409, True)
        assert (await browser.submit(running, f"{path}/rp_0000000000000000/cancel")).status == 404


async def test_pages_of_deliveries_lead_on(home: World, events: Events) -> None:
    account = home.account.account
    endpoint = await events.endpoint(account, state="paused")
    await events.due(account, endpoint, 120)
    async with signed_in(home) as browser:
        seen: list[str] = []
        path: str | None = f"{HOOKS}/{endpoint}/deliveries?state=pending"
        while path:
            elements = assert_harmless((await browser.get(path)).text)
            seen += elements.values("tr", "data-row")
            path = next((at["href"] for _, at in elements.found if at.get("rel") == "next"), None)
        assert (len(seen), len(set(seen))) == (120, 120)
        assert seen == sorted(seen, key=int, reverse=True)
        assert "No deliveries to show" in (await browser.get(f"{HOOKS}/{endpoint}/deliveries?state=exhausted")).text
        assert (await browser.get(f"{HOOKS}/{endpoint}/deliveries?state=nonsense&before=-1")).status == 200
