"""The account and key commands, from their words to the database and back."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.__main__ import DONE, FAILED, NOT_RUNNING, USAGE, main
from shared.runtime.settings import ServiceSettings
from tests.support.auths import running_auth
from tests.support.operator import Cli, operator


@pytest.fixture
async def auth(settings: ServiceSettings) -> AsyncIterator[None]:
    async with running_auth(settings):
        yield


@pytest.fixture
def cli(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Cli:
    return operator(settings, monkeypatch, tmp_path, capsys)


async def test_an_account_is_made_shown_and_listed(auth: None, cli: Cli) -> None:
    code, made = await cli("account", "create", "acme", "--time-zone", "Europe/Paris")
    assert code == DONE
    assert set(made) == {"account", "name", "api_key", "enrolment_key", "phone"}
    assert (made["name"], len(made["api_key"]), made["phone"]) == ("acme", 48, None)
    code, shown = await cli("account", "show", "acme")
    assert (code, shown["id"], shown["time_zone"]) == (DONE, made["account"], "Europe/Paris")
    code, listed = await cli("account", "list")
    assert [each["name"] for each in listed["accounts"]] == ["acme"]
    code, refused = await cli("account", "create", "acme")
    assert (code, refused["code"]) == (FAILED, "name_taken")
    code, refused = await cli("account", "show", "other")
    assert (code, refused["code"]) == (FAILED, "not_found")


async def test_a_key_is_made_shown_and_revoked(auth: None, cli: Cli) -> None:
    await cli("account", "create", "acme")
    code, made = await cli(
        "key", "create", "reader", "--scope", "sms:read", "--scope", "devices:read", "--account", "acme"
    )
    assert code == DONE
    assert set(made) == {"id", "api_key"}
    code, shown = await cli("key", "show", made["id"], "--account", "acme")
    assert (shown["scopes"], shown["revoked_at"]) == (["sms:read", "devices:read"], None)
    assert made["api_key"] not in json.dumps(shown)
    assert await cli("key", "revoke", made["id"], "--account", "acme") == (DONE, {"id": made["id"], "revoked": True})
    _, listed = await cli("key", "list", "--account", "acme")
    assert [(each["name"], each["revoked_at"] is None) for each in listed["keys"]] == [
        ("default", True),
        ("reader", False),
    ]
    code, refused = await cli("key", "create", "x", "--scope", "root", "--account", "acme")
    assert (code, refused["code"]) == (FAILED, "invalid_scope")
    code, refused = await cli("key", "list")
    assert (code, refused["code"]) == (FAILED, "not_found")


async def test_people_get_tables_without_what_would_move_their_cursor(
    auth: None, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    await cli("account", "create", "acme")
    assert await asyncio.to_thread(main, ["account", "list"]) == DONE
    head, row = capsys.readouterr().out.strip().splitlines()[-2:]
    assert head.split()[:2] == ["ID", "NAME"]
    assert row.split()[1:3] == ["acme", "active"]


async def test_without_an_installation_it_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMSFLEET_NATS_URL", "nats://127.0.0.1:9")
    code, said = await cli("account", "list")
    assert (code, said["code"]) == (NOT_RUNNING, "not_running")
    monkeypatch.delenv("SMSFLEET_NATS_URL")
    assert (await cli("key", "list"))[0] == NOT_RUNNING
    assert (await cli("send", "--to", "+15551234567", "hello"))[0] == NOT_RUNNING


async def test_without_a_service_that_answers_it_fails(cli: Cli) -> None:
    code, said = await cli("account", "list")
    assert (code, said["code"]) == (FAILED, "unavailable")


def test_wrong_words_are_usage() -> None:
    for words in ([], ["account"], ["account", "create"], ["key", "show"], ["dead", "show", "x"], ["no-such"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == USAGE
