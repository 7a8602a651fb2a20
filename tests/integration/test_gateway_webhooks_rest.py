"""Webhooks over /v1, from the request through the real service to a receiver and back."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from tests.support.gateway import running_gateway
from tests.support.receiver import Receiver
from tests.support.rest import Program
from tests.support.v2_receiver import V2Receiver
from tests.support.waiting import until
from tests.support.webhooks import World


@pytest.fixture
async def program(
    settings: ServiceSettings, nats_client: Client, webhooks: Service, webhooks_world: World
) -> AsyncIterator[Program]:
    account = await webhooks_world.account()
    async with running_gateway(settings, nats_client) as gateway:
        yield Program(gateway, account)


async def account_of(world: World) -> int:
    return int(await world.pool.fetchval("select id from accounts"))


async def publish(world: World, *texts: str) -> list[str]:
    """Received texts, told as events; gives the events' ids."""
    account = await account_of(world)
    events = [await world.text(account, text) for text in texts]
    await world.publish(*events)
    return [event.id for event in events]


async def test_a_webhook_from_its_making_to_its_end(program: Program, webhooks_world: World) -> None:
    async with Receiver.running() as receiver:
        made = await program.done("POST", "/v1/webhooks", {"url": receiver.url, "format": "v2"}, 201)
        judge = V2Receiver(made["secret"])
        receiver.judge = judge.judge
        path = f"/v1/webhooks/{made['id']}"
        shown = await program.done("GET", path)
        assert shown == {name: value for name, value in made.items() if name != "secret"}

        tried = await program.done("POST", f"{path}/test", {"event_type": "sms.failed"})
        assert (tried["status"], tried["error"]) == (202, None)
        (example,) = judge.seen.values()
        assert (example["type"], json.loads(tried["body"])) == ("sms.failed", example)

        (first,) = await publish(webhooks_world, "first")
        await arrived(judge, first)
        (delivery,) = await delivered(program, path, 1)
        assert (delivery["event"], delivery["endpoint"], delivery["attempts"]) == (first, made["id"], 1)
        logged = await program.done("GET", f"/v1/deliveries/{delivery['id']}/attempts")
        assert json.loads(logged["body"]) == judge.seen[first]
        assert logged["delivery"] == delivery
        (attempt,) = logged["attempts"]
        assert (attempt["number"], attempt["outcome"], attempt["status"]) == (1, "delivered", 202)
        assert attempt["remote_address"].startswith("127.0.0.1")
        assert {"name": "Content-Length", "value": "0"} in attempt["response_headers"]

        paused = await program.done("POST", f"{path}/pause", {"reason": "moving"})
        assert (paused["state"], paused["reason"]) == ("paused", "moving")
        parked = await publish(webhooks_world, "second", "third")

        async def waiting() -> bool:
            return bool((await program.done("GET", path))["pending"] == 2)

        await until(waiting, "the events wait")
        assert not set(parked) & set(judge.seen)
        assert (await program.done("POST", f"{path}/enable"))["state"] == "enabled"
        await arrived(judge, *parked)
        await delivered(program, path, 3)

        before = len(receiver.deliveries)
        counted = await program.done("POST", f"{path}/replays", {"states": ["delivered"], "dry_run": True})
        assert counted == {"matched": 3, "replay": None}
        answer = await program.ask("POST", f"{path}/replays", {"states": ["delivered"]})
        assert (answer.status, answer.json()["matched"]) == (201, 3)

        async def over() -> dict[str, Any] | None:
            replay: dict[str, Any] = await program.done("GET", answer.headers["location"])
            return replay if (replay["state"], replay["delivered"]) == ("done", 3) else None

        replay = await until(over, "the replay is over")
        assert len(receiver.deliveries) == before + 3
        assert (await program.done("GET", f"{path}/replays"))["replays"] == [replay]
        await program.refused("DELETE", answer.headers["location"], b"", 409, "replay_over")

        ended = await program.ask("DELETE", path)
        assert (ended.status, ended.body) == (204, b"")
        await program.refused("GET", path, b"", 404, "not_found")
        await program.refused("DELETE", path, b"", 404, "not_found")


async def arrived(judge: V2Receiver, *events: str) -> None:
    async def there() -> bool:
        return set(events) <= set(judge.seen)

    await until(there, f"{events} arrived")


async def delivered(program: Program, path: str, count: int) -> list[dict[str, Any]]:
    """The deliveries of a webhook once so many are known to have arrived."""

    async def there() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = (await program.done("GET", f"{path}/deliveries?states=delivered"))["deliveries"]
        return found if len(found) == count else None

    return await until(there, f"{count} are delivered")


async def test_what_is_chosen_comes_back_and_no_secret_does(program: Program) -> None:
    wish = {
        "url": "https://example.com/sms",
        "description": "shop",
        "filter": {"types": ["sms.received"], "devices": ["d" * 21], "sims": [1, 2], "numbers": ["+15551234567"]},
        "classic": {"number_format": "plus", "time_format": "text", "time_zone": "Europe/Berlin"},
        "headers": {"X-Shop": "secret of the shop"},
        "auth": {"type": "basic", "user": "u", "password": "secret of the user"},
        "secret": "a secret of my own",
        "max_window": 4,
    }
    made = await program.done("POST", "/v1/webhooks", wish, 201)
    assert made["secret"] == "a secret of my own"
    assert {name: made[name] for name in ("url", "description", "filter", "classic", "max_window")} == {
        name: wish[name] for name in ("url", "description", "filter", "classic", "max_window")
    }
    assert (made["format"], made["header_names"], made["auth"]) == ("classic", ["X-Shop"], "basic")
    path = f"/v1/webhooks/{made['id']}"
    assert "secret of" not in json.dumps(await program.done("GET", "/v1/webhooks"))

    changed = await program.done("PATCH", path, {"auth": None, "filter": {"sims": [3]}})
    assert (changed["auth"], changed["header_names"], changed["description"]) == (None, ["X-Shop"], "shop")
    assert changed["filter"] == {"types": [], "devices": [], "sims": [3], "numbers": []}
    assert await program.done("PATCH", path, {}) == changed


async def test_a_rotated_secret_overlaps_the_one_before(program: Program) -> None:
    async with Receiver.running() as receiver:
        made = await program.done("POST", "/v1/webhooks", {"url": receiver.url, "format": "v2"}, 201)
        path = f"/v1/webhooks/{made['id']}"
        rotated = await program.done("POST", f"{path}/rotate")
        assert rotated["secret"] not in ("", made["secret"])
        assert rotated["older_until"] > made["created_at"]
        await program.done("POST", f"{path}/test")
        assert len((receiver.deliveries[-1].header("webhook-signature") or "").split(" ")) == 2
        assert (await program.done("POST", f"{path}/rotate", {"overlap_s": 0}))["older_until"] is None
        await program.done("POST", f"{path}/test")
        assert len((receiver.deliveries[-1].header("webhook-signature") or "").split(" ")) == 1


async def test_one_delivery_is_replayed(program: Program, webhooks_world: World) -> None:
    async with Receiver.running() as receiver:
        made = await program.done("POST", "/v1/webhooks", {"url": receiver.url}, 201)
        path = f"/v1/webhooks/{made['id']}"
        await publish(webhooks_world, "once", "and again")
        (newest, _) = await delivered(program, path, 2)
        answer = await program.ask("POST", f"/v1/deliveries/{newest['id']}/replay")
        assert (answer.status, answer.json()["matched"]) == (201, 1)

        async def again() -> bool:
            return len(receiver.deliveries) == 3

        await until(again, "it arrived once more")
        assert receiver.deliveries[-1].header("webhook-id") == newest["event"]


async def test_what_has_not_ended_is_not_replayed(program: Program, webhooks_world: World) -> None:
    made = await program.done("POST", "/v1/webhooks", {"url": "http://127.0.0.1:8000/"}, 201)
    path = f"/v1/webhooks/{made['id']}"
    await program.done("POST", f"{path}/pause")
    await publish(webhooks_world, "waits")

    async def waiting() -> Any:
        return (await program.done("GET", f"{path}/deliveries?states=pending"))["deliveries"]

    (delivery,) = await until(waiting, "it waits")
    await program.refused("POST", f"/v1/deliveries/{delivery['id']}/replay", b"", 409, "delivery_pending")


async def test_events_are_paged(program: Program, webhooks_world: World) -> None:
    published = await publish(webhooks_world, "one", "two", "three")

    async def kept() -> bool:
        return len((await program.done("GET", "/v1/events"))["events"]) == 3

    await until(kept, "the events are kept")
    read: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": None, "more": True}
    while page["more"]:
        after = f"&after={page['next']}" if page["next"] else ""
        page = await program.done("GET", f"/v1/events?limit=2{after}")
        read += page["events"]
    assert sorted(event["id"] for event in read) == sorted(published)
    assert [event["data"]["message"] for event in read] == ["one", "two", "three"]
    assert list(read[0]) == ["id", "type", "api_version", "created_at", "occurred_at", "data"]
    empty = await program.done("GET", f"/v1/events?after={page['next']}")
    assert empty == {"events": [], "next": page["next"], "more": False}
    assert (await program.done("GET", "/v1/events?types=sms.sent&types=sms.failed"))["events"] == []
    assert len((await program.done("GET", "/v1/events?types=sms.received"))["events"]) == 3


async def test_the_examples_of_the_document_are_good(program: Program) -> None:
    paths = (await program.done("GET", "/openapi.json"))["paths"]

    def example(path: str) -> Any:
        return paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]["examples"][0]

    made = await program.done("POST", "/v1/webhooks", example("/v1/webhooks"), 201)
    replays = "/v1/webhooks/{id}/replays"
    assert await program.done("POST", replays.format(id=made["id"]), example(replays)) == {"matched": 0, "replay": None}
    for name in ("test", "pause", "rotate"):
        assert not paths[f"/v1/webhooks/{{id}}/{name}"]["post"]["requestBody"]["required"]
