"""The commands about clients, people, enrolment, signing keys and the audit log, from their words to the database."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from deploy.local.paths import Home
from deploy.local.setup import ensure_credentials
from deploy.local.state import read_credentials, write_credentials
from services.__main__ import DONE, FAILED, USAGE, main
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.clients import ClientCreated, CreateClient
from shared.contracts.rpc.people import CheckUser
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.support import stocks
from tests.support.auths import issue, running_auth, verify
from tests.support.operator import Cli, operator

PASSWORD = "velvet otter 42"


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client) -> AsyncIterator[RpcClient]:
    async with running_auth(settings):
        yield RpcClient(plain_client)


@pytest.fixture
async def cli(
    ask: RpcClient,
    settings: ServiceSettings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    run = operator(settings, monkeypatch, tmp_path, capsys)
    assert (await run("account", "create", "default"))[0] == DONE
    return run


async def test_a_client_is_made_used_rotated_and_revoked(ask: RpcClient, cli: Cli) -> None:
    code, made = await cli("client", "create", "shop", "--scope", "sms:send", "--expires-in", "30d")
    assert (code, set(made)) == (DONE, {"client_id", "client_secret"})
    first = ClientCreated(**made)
    assert (await issue(ask, first)).scope == "sms:send"
    code, made = await cli("client", "rotate", first.client_id, "--overlap", "24h")
    second = ClientCreated(**made)
    for each in (first, second):
        await issue(ask, each)
    _, shown = await cli("client", "show", first.client_id)
    assert (shown["name"], shown["scopes"], shown["revoked_at"]) == ("shop", ["sms:send"], None)
    assert shown["old_until"] > shown["created_at"]
    assert (await cli("client", "revoke", first.client_id))[0] == DONE
    _, listed = await cli("client", "list")
    assert [each["revoked_at"] is None for each in listed["clients"]] == [False]
    code, refused = await cli("client", "rotate", first.client_id)
    assert (code, refused["code"]) == (FAILED, "not_found")
    assert (await cli("client", "show", "x"))[1]["code"] == "not_found"


async def test_a_key_expires_and_is_rotated(ask: RpcClient, cli: Cli) -> None:
    _, first = await cli("key", "create", "shop", "--expires-in", "12h")
    _, second = await cli("key", "rotate", first["id"], "--overlap", "15m")
    _, shown = await cli("key", "show", first["id"])
    assert round(shown["expires_at"] - shown["created_at"]) == 12 * 3600
    assert shown["last_used_at"] is None
    for each in (first, second):
        assert (await verify(ask, "api_key", each["api_key"])).subject == first["id"]
    assert (await cli("key", "rotate", "key_unknown"))[1]["code"] == "not_found"


async def test_enrolment_keys_are_made_listed_and_revoked(cli: Cli) -> None:
    _, single = await cli("enrolment", "create")
    _, multi = await cli("enrolment", "create", "--multi", "--approve", "--expires-in", "never")
    assert (len(single["enrolment_key"]), multi["expires_at"]) == (64, None)
    _, shown = await cli("enrolment", "show", multi["id"])
    assert (shown["multi"], shown["approve"], shown["devices"]) == (True, True, 0)
    assert (await cli("enrolment", "revoke", single["id"]))[0] == DONE
    _, listed = await cli("enrolment", "list")
    assert [each["revoked_at"] is None for each in listed["keys"]] == [True, False, True]


async def test_people_are_made_and_changed(ask: RpcClient, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    code, made = await cli("user", "create", "Ana@example.org", "--role", "owner", "--password-stdin")
    assert (code, made["login"], made["role"], made["has_password"]) == (DONE, "ana@example.org", "owner", True)
    monkeypatch.setattr("sys.stdin", io.StringIO("copper lantern 7\r\n"))
    assert (await cli("user", "password", "ana@example.org", "--password-stdin"))[0] == DONE
    request = CheckUser(login="ana@example.org", password="copper lantern 7", address="local")
    assert (await ask.ask(registry.AUTH_USER_CHECK, request)).id == made["id"]
    assert (await cli("user", "set", "ana@example.org", "--role", "viewer"))[1]["code"] == "last_owner"
    assert (await cli("user", "create", "bob@example.org", "--role", "owner", "--no-password"))[0] == DONE
    assert (await cli("user", "set", "ana@example.org", "--role", "viewer"))[1]["role"] == "viewer"
    assert (await cli("user", "disable", "ana@example.org"))[1]["disabled"] is True
    assert (await cli("user", "link", "ana@example.org"))[1]["code"] == "not_found"
    assert (await cli("user", "enable", "ana@example.org"))[1]["disabled"] is False
    assert len((await cli("user", "link", "ana@example.org"))[1]["token"]) == 64
    _, listed = await cli("user", "list")
    assert [each["login"] for each in listed["users"]] == ["ana@example.org", "bob@example.org"]
    assert (await cli("user", "show", "eve@example.org"))[1]["code"] == "not_found"


async def test_a_password_is_never_an_argument_and_never_silently_empty(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["user", "create", "ana@example.org", "--password", PASSWORD])
    assert ended.value.code == USAGE
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    code, refused = await cli("user", "create", "ana@example.org")
    assert (code, refused["code"]) == (FAILED, "invalid")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, refused = await cli("user", "create", "ana@example.org", "--password-stdin")
    assert (code, refused["code"]) == (FAILED, "invalid_password")


async def test_signing_keys_are_listed_and_rotated(cli: Cli) -> None:
    _, listed = await cli("signing", "list")
    assert [each["state"] for each in listed["keys"]] == ["signs"]
    _, rotated = await cli("signing", "rotate")
    assert [each["state"] for each in rotated["keys"]] == ["signs", "waits"]
    _, leaked = await cli("signing", "rotate", "--at-once")
    assert [each["state"] for each in leaked["keys"]] == ["signs"]


async def test_the_audit_log_is_shown(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    await cli("account", "create", "acme")
    await cli("account", "set", "acme", "--daily-sends", "500", "--status", "suspended")
    _, log = await cli("audit", "--account", "acme")
    assert [each["verb"] for each in log["entries"]] == ["account.set", "account.create"]
    assert log["entries"][0]["detail"] == {"status": "suspended", "daily_sends": 500}
    assert len((await cli("audit", "--limit", "1"))[1]["entries"]) == 1
    assert await asyncio.to_thread(main, ["audit", "--account", "acme"]) == DONE
    head, newest = capsys.readouterr().out.strip().splitlines()[-3:-1]
    assert head.split()[:3] == ["AT", "WHO", "FROM"]
    assert "status=suspended, daily_sends=500" in newest


@pytest.mark.parametrize("span", ["", "h", "1", "1w", "-1h", "1.5h", "٣h"])
def test_a_span_that_nobody_understands_is_wrong_usage(span: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["key", "create", "x", f"--expires-in={span}"])
    assert ended.value.code == USAGE


async def ensure(home: Home, settings: ServiceSettings) -> dict[str, str]:
    nkey = {"nkeys_seed": settings.nats_nkey_file} if settings.nats_nkey_file else {}
    return await ensure_credentials(home, "http://127.0.0.1:8080", settings.nats_url, nkey)


async def test_up_writes_a_client_and_keeps_what_is_there(
    ask: RpcClient, settings: ServiceSettings, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    home.make()
    made = await ensure(home, settings)
    assert set(made) == {"base_url", "dashboard_url", "api_key", "enrolment_key", "client_id", "client_secret"}
    assert made["dashboard_url"] == "http://127.0.0.1:8080/dashboard"
    assert home.credentials.stat().st_mode & 0o777 == 0o600
    await issue(ask, ClientCreated(client_id=made["client_id"], client_secret=made["client_secret"]))
    assert await ensure(home, settings) == made


async def test_an_installation_of_an_older_version_gets_its_client(
    ask: RpcClient, settings: ServiceSettings, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    home.make()
    made = await ensure(home, settings)
    older = {name: made[name] for name in ("base_url", "api_key", "enrolment_key")}
    home.credentials.write_text(json.dumps(older))
    upgraded = await ensure(home, settings)
    assert {name: upgraded[name] for name in older} == older
    await issue(ask, ClientCreated(client_id=upgraded["client_id"], client_secret=upgraded["client_secret"]))


async def test_lost_credentials_are_made_anew(
    ask: RpcClient, settings: ServiceSettings, tmp_path: Path, pool: Pool
) -> None:
    home = Home(tmp_path / "home")
    home.make()
    first = await ensure(home, settings)
    home.credentials.unlink()
    second = await ensure(home, settings)
    assert second["api_key"] != first["api_key"]
    for kind in ("api_key", "enrolment_key"):
        assert (await verify(ask, kind, second[kind])).account == 1
    assert await pool.fetchval("select count(*) from accounts") == 1
    assert read_credentials(home) == second


async def test_a_start_that_broke_off_is_completed(ask: RpcClient, settings: ServiceSettings, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    await ensure(home, settings)
    account = (await verify(ask, "api_key", read_credentials(home)["api_key"])).account
    assert account is not None
    await ask.ask(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name="credentials.json"))
    home.credentials.unlink()
    write_credentials(home, {"base_url": "http://other"})
    completed = await ensure(home, settings)
    assert completed["base_url"] == "http://127.0.0.1:8080"
    assert (await verify(ask, "client", completed["client_id"])).account == account


@pytest.mark.parametrize(
    ("name", "rows", "id_", "stock"),
    [
        ("key", "keys", "id", stocks.KEYS),
        ("client", "clients", "client_id", stocks.CLIENTS),
        ("enrolment", "keys", "id", stocks.ENROLMENT),
    ],
)
async def test_a_list_shows_all_in_order_of_creation(
    cli: Cli, pool: Pool, name: str, rows: str, id_: str, stock: stocks.Stock
) -> None:
    await stock.fill(pool, 1)
    await stock.fill(pool, 1, ended=True, count=2)
    everything = await pool.fetch(f"select id from {stock.table} where account_id = 1 order by created_at, id")
    code, listed = await cli(name, "list")
    assert (code, list(listed)) == (DONE, [rows])
    assert [each[id_] for each in listed[rows]] == [each["id"] for each in everything]
    first = everything[0]["id"]
    assert (await cli(name, "show", first))[1] == listed[rows][0]
