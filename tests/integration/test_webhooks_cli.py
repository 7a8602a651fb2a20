"""The webhook commands, from their words to the receiver and back."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from services.__main__ import DONE, FAILED, main
from services.auth.app import open_service as open_auth
from services.auth.settings import AuthSettings
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from tests.support.operator import Cli, operator
from tests.support.receiver import Receiver
from tests.support.v2_receiver import V2Receiver
from tests.support.waiting import until
from tests.support.webhooks import World


@pytest.fixture
async def cli(
    settings: ServiceSettings,
    nats_client: Client,
    webhooks: Service,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Cli]:
    async with open_auth(msgspec.convert(msgspec.to_builtins(settings), AuthSettings)):
        run = operator(settings, monkeypatch, tmp_path, capsys)
        await run("account", "create", "default")
        yield run


async def done(cli: Cli, *words: str) -> Any:
    """What a command said, which must have been done."""
    code, said = await cli(*words)
    assert code == DONE, (words, said)
    return said


async def refused(cli: Cli, code: str, *words: str) -> None:
    found, said = await cli(*words)
    assert (found, said["code"]) == (FAILED, code), (words, said)


async def publish(world: World, *texts: str) -> list[str]:
    account = int(await world.pool.fetchval("select id from accounts"))
    events = [await world.text(account, text) for text in texts]
    await world.publish(*events)
    return [event.id for event in events]


async def test_a_webhook_is_made_changed_and_deleted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("basic:shop:secret:of the shop\nmy own signing secret\n"))
    words = ["--description", "shop", "--event", "sms.received", "--sim", "1", "--sim", "2", "--header", "X-Shop: one"]
    made = await done(
        cli,
        "webhook",
        "create",
        "https://example.com/hook",
        *words,
        "--auth-stdin",
        "--secret-stdin",
        "--time-zone",
        "UTC",
    )
    assert (made["url"], made["description"], made["secret"]) == (
        "https://example.com/hook",
        "shop",
        "my own signing secret",
    )
    assert (made["auth"], made["header_names"], made["classic"]["time_zone"]) == ("basic", ["X-Shop"], "UTC")
    shown = await done(cli, "webhook", "show", made["id"])
    assert (shown["state"], shown["pending"], shown["delivered"], shown["last_error"]) == ("enabled", 0, 0, None)
    assert "secret" not in shown
    assert shown["filter"] == {"types": ["sms.received"], "devices": [], "sims": [1, 2], "numbers": []}
    changed = await done(cli, "webhook", "update", made["id"], "--number", "+15551234567", "--no-auth")
    assert changed["filter"] == shown["filter"] | {"numbers": ["+15551234567"]}
    assert (changed["auth"], changed["header_names"], changed["description"]) == (None, ["X-Shop"], "shop")
    changed = await done(
        cli, "webhook", "update", made["id"], "--no-filter", "--no-headers", "--url", "https://b.example/"
    )
    assert (changed["filter"]["types"], changed["header_names"], changed["url"]) == ([], [], "https://b.example/")
    assert [each["id"] for each in (await done(cli, "webhook", "list"))["endpoints"]] == [made["id"]]
    paused = await done(cli, "webhook", "pause", made["id"], "--reason", "moving")
    assert (paused["state"], paused["reason"]) == ("paused", "moving")
    assert (await done(cli, "webhook", "enable", made["id"]))["state"] == "enabled"
    assert (await done(cli, "webhook", "rotate", made["id"], "--overlap", "1h"))["older_until"]
    assert (await done(cli, "webhook", "delete", made["id"])) == {"id": made["id"], "deleted": True}
    for name in ("show", "update", "test", "pause", "enable", "rotate", "delete", "deliveries", "replays"):
        await refused(cli, "not_found", "webhook", name, made["id"])
    await refused(cli, "not_found", "webhook", "attempts", "1")
    await refused(cli, "not_found", "webhook", "replay", made["id"], "--all")
    await refused(cli, "not_found", "webhook", "replay", made["id"], "--cancel")


async def test_what_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://example.com/hook"
    await refused(cli, "invalid_url", "webhook", "create", "http://10.0.0.1/")
    await refused(cli, "invalid_filter", "webhook", "create", url, "--event", "sms.flown")
    await refused(cli, "invalid_headers", "webhook", "create", url, "--header", "Host:x")
    await refused(cli, "invalid_window", "webhook", "create", url, "--max-window", "0")
    monkeypatch.setattr(sys, "stdin", io.StringIO("digest:a:b\n"))
    await refused(cli, "invalid_auth", "webhook", "create", url, "--auth-stdin")
    made = await done(cli, "webhook", "create", url)
    await refused(cli, "invalid", "webhook", "replay", made["id"])
    await refused(cli, "invalid_event_type", "webhook", "test", made["id"], "--event", "sms.sent")
    for words in (["create", url, "--header", "no colon"], ["replay", made["id"], "--since", "yesterday"]):
        with pytest.raises(SystemExit) as usage:
            await cli("webhook", *words)
        assert usage.value.code == 2


async def test_events_are_followed_and_replayed(cli: Cli, webhooks_world: World) -> None:
    async with Receiver.running() as receiver:
        made = await done(cli, "webhook", "create", receiver.url, "--format", "v2")
        judge = V2Receiver(made["secret"])
        receiver.judge = judge.judge
        assert (await done(cli, "webhook", "test", made["id"]))["status"] == 202
        events = await publish(webhooks_world, "one", "two")

        async def arrived() -> Any:
            found = (await done(cli, "webhook", "deliveries", made["id"], "--state", "delivered"))["deliveries"]
            return found if len(found) == 2 else None

        (newest, _) = await until(arrived, "both are delivered")
        logged = await done(cli, "webhook", "attempts", str(newest["id"]), "--attempt", "1")
        assert json.loads(logged["body"]) == judge.seen[newest["event"]]
        assert (logged["attempts"][0]["status"], logged["attempts"][0]["outcome"]) == (202, "delivered")

        assert (await done(cli, "webhook", "replay", made["id"], "--failed", "--dry-run"))["matched"] == 0
        counted = await done(
            cli,
            "webhook",
            "replay",
            made["id"],
            "--since",
            "1h",
            "--until",
            "2100-01-01T00:00:00+01:00",
            "--type",
            "sms.received",
            "--dry-run",
        )
        assert counted == {"matched": 2, "replay": None}
        begun = await done(cli, "webhook", "replay", made["id"], "--event", events[0], "--wait", "30s")
        assert (begun["matched"], begun["replay"]["state"], begun["replay"]["delivered"]) == (1, "done", 1)
        assert receiver.deliveries[-1].header("webhook-id") == events[0]
        assert [each["id"] for each in (await done(cli, "webhook", "replays", made["id"]))["replays"]] == [
            begun["replay"]["id"]
        ]
        await refused(cli, "replay_over", "webhook", "replay", made["id"], "--cancel")

        receiver.status, receiver.judge = 410, None
        code, tried = await cli("webhook", "test", made["id"])
        assert (code, tried["status"], tried["error"]) == (FAILED, 410, "gone")


async def test_a_replay_to_a_paused_webhook_is_canceled(cli: Cli, webhooks_world: World) -> None:
    made = await done(cli, "webhook", "create", "http://127.0.0.1:8000/")
    await done(cli, "webhook", "pause", made["id"])
    await publish(webhooks_world, "missed")
    await done(cli, "webhook", "delete", made["id"])
    later = await done(cli, "webhook", "create", "http://127.0.0.1:8000/")
    await done(cli, "webhook", "pause", later["id"])

    async def kept() -> bool:
        return bool((await done(cli, "webhook", "replay", later["id"], "--missing", "--dry-run"))["matched"] == 1)

    await until(kept, "the event is kept")
    code, begun = await cli("webhook", "replay", later["id"], "--missing", "--wait", "0s")
    assert (code, begun["matched"]) == (FAILED, 1)
    canceled = await done(cli, "webhook", "replay", later["id"], "--cancel", begun["replay"]["id"])
    assert canceled["state"] == "canceled"


async def test_people_read_tables(cli: Cli, webhooks_world: World, capsys: pytest.CaptureFixture[str]) -> None:
    async def told(*words: str) -> str:
        capsys.readouterr()
        assert await asyncio.to_thread(main, ["webhook", *words]) == DONE
        return capsys.readouterr().out

    async with Receiver.running() as receiver:
        made = await done(cli, "webhook", "create", receiver.url)
        await publish(webhooks_world, "hello")

        async def arrived() -> Any:
            return (await done(cli, "webhook", "deliveries", made["id"], "--state", "delivered"))["deliveries"]

        (delivery,) = await until(arrived, "it is delivered")
        assert made["id"] in await told("list")
        assert "authentication:" in await told("show", made["id"])
        assert delivery["event"] in await told("deliveries", made["id"])
        attempts = await told("attempts", str(delivery["id"]))
        assert "delivered" in attempts
        assert "hello" in attempts
        assert "< Content-Length" in await told("attempts", str(delivery["id"]), "--attempt", "1")
        assert "1 events would be sent once more" in await told("replay", made["id"], "--all", "--dry-run")
        assert "done: 1 of 1 queued" in await told("replay", made["id"], "--all", "--wait", "30s")
        assert "rp_" in await told("replays", made["id"])
        assert "> webhook-id" in await told("test", made["id"])
        assert "The secret is shown only now." in await told("rotate", made["id"])
