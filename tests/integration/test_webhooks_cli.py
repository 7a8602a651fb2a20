"""The webhook commands, from their words to the database and back."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from services.__main__ import DONE, FAILED, main
from services.auth.app import open_service as open_auth
from services.auth.settings import AuthSettings
from services.webhooks.app import open_service as open_webhooks
from services.webhooks.settings import WebhooksSettings
from shared.runtime.settings import ServiceSettings


@pytest.fixture
async def running(
    settings: ServiceSettings, nats_client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[None]:
    monkeypatch.setenv("SMSFLEET_HOME", str(tmp_path))
    monkeypatch.setenv("SMSFLEET_NATS_URL", settings.nats_url)
    monkeypatch.setenv("SMSFLEET_NATS_NKEY_FILE", settings.nats_nkey_file or "")
    values = msgspec.to_builtins(settings)
    async with (
        open_auth(msgspec.convert(values, AuthSettings)),
        open_webhooks(msgspec.convert(values, WebhooksSettings)),
    ):
        yield


async def test_a_webhook_is_made_shown_and_deleted(running: None, capsys: pytest.CaptureFixture[str]) -> None:
    async def cli(*words: str) -> tuple[int, Any]:
        code = await asyncio.to_thread(main, [*words, "--json"])
        said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        return code, json.loads(said[-1])

    await cli("account", "create", "default")
    code, made = await cli("webhook", "create", "https://example.com/hook", "--description", "shop")
    assert code == DONE
    assert (made["url"], made["description"]) == ("https://example.com/hook", "shop")
    _, shown = await cli("webhook", "show", made["id"])
    assert (shown["enabled"], shown["pending"], shown["delivered"], shown["last_error"]) == (True, 0, 0, None)
    _, listed = await cli("webhook", "list")
    assert [each["id"] for each in listed["endpoints"]] == [made["id"]]
    assert (await cli("webhook", "delete", made["id"]))[0] == DONE
    code, refused = await cli("webhook", "delete", made["id"])
    assert (code, refused["code"]) == (FAILED, "not_found")
    code, refused = await cli("webhook", "create", "http://10.0.0.1/")
    assert (code, refused["code"]) == (FAILED, "invalid_url")
