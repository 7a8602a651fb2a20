"""`smsfleet dashboard link` and `smsfleet user sign-out`, from their words to the database."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from deploy.local.paths import Home
from deploy.local.state import write_credentials
from services.__main__ import DONE, FAILED
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.people import UseLink, User
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support.auths import running_auth
from tests.support.operator import Cli, operator


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


async def used(ask: RpcClient, link: str) -> User:
    """Who is signed in by the link."""
    found = re.fullmatch(r"http://[^/]+/dashboard/link/([0-9a-f]{64})", link)
    assert found is not None, link
    return await ask.ask(registry.AUTH_LINK_USE, UseLink(digest=digest(found[1]), address="192.0.2.7"))


async def test_the_first_link_makes_the_first_owner_and_no_other_does(ask: RpcClient, cli: Cli) -> None:
    code, made = await cli("dashboard", "link")
    assert (code, made["login"], made["link"][:22]) == (DONE, "owner@localhost", "http://127.0.0.1:8080/")
    owner = await used(ask, made["link"])
    assert (owner.login, owner.role, owner.has_password) == ("owner@localhost", "owner", False)
    assert (await used(ask, (await cli("dashboard", "link"))[1]["link"])).id == owner.id
    assert len((await cli("user", "list"))[1]["users"]) == 1


async def test_a_link_is_for_whom_it_names(ask: RpcClient, cli: Cli) -> None:
    code, refused = await cli("dashboard", "link", "--user", "ana@example.org")
    assert (code, refused["code"]) == (FAILED, "not_found")
    assert (await cli("user", "list"))[1]["users"] == []
    await cli("user", "create", "ana@example.org", "--role", "viewer", "--no-password")
    _, made = await cli("dashboard", "link", "--user", "Ana@example.org")
    assert (await used(ask, made["link"])).login == made["login"] == "ana@example.org"
    # There are people, and none of them is an owner: whom to make one is not ours to say.
    code, refused = await cli("dashboard", "link")
    assert (code, refused["code"]) == (FAILED, "not_found")


async def test_each_account_has_an_owner_of_its_own(ask: RpcClient, cli: Cli) -> None:
    await cli("account", "create", "acme")
    logins = [(await cli("dashboard", "link", "--account", name))[1]["login"] for name in ("default", "acme")]
    assert logins[0] == "owner@localhost"
    assert re.fullmatch(r"owner\.\d+@localhost", logins[1])


async def test_the_link_leads_to_where_the_dashboard_is(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMSFLEET_PUBLIC_URL", "https://sms.example/")
    assert (await cli("dashboard", "link"))[1]["link"].startswith("https://sms.example/dashboard/link/")
    write_credentials(Home(tmp_path), {"dashboard_url": "http://10.0.0.5:8080/dashboard"})
    assert (await cli("dashboard", "link"))[1]["link"].startswith("http://10.0.0.5:8080/dashboard/link/")


async def test_a_user_is_signed_out_by_command(ask: RpcClient, cli: Cli) -> None:
    before = await used(ask, (await cli("dashboard", "link"))[1]["link"])
    assert await cli("user", "sign-out", before.login) == (DONE, {"id": before.id, "signed_out": True})
    after = await used(ask, (await cli("dashboard", "link"))[1]["link"])
    assert after.generation == before.generation + 1
    assert (await cli("user", "sign-out", "nobody@example.org"))[1]["code"] == "not_found"
