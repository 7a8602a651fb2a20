"""What the people of an account ask of auth about it: its settings, its audit log page by page, their own password."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from services.auth.store import audit as audit_store
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.audit import Actor, AuditPage, PageAudit
from shared.contracts.rpc.auth import CreateKey, SetSettings, ShowAccount, Verdict, Verify
from shared.contracts.rpc.people import ChangePassword, CheckUser, CreateUser, SetUser, User, session_digest
from shared.errors import Conflict, Forbidden, Invalid, NotFound
from shared.runtime.settings import ServiceSettings
from tests.support.auths import new_account, new_client, running_auth

LOGIN, PASSWORD, ANOTHER = "ana@example.org", "velvet otter 42", "tin violin 17 crab"
ANA = Actor("usr_1", "192.0.2.7")


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client) -> AsyncIterator[RpcClient]:
    async with running_auth(settings):
        yield RpcClient(plain_client)


async def page(ask: RpcClient, account: int, **more: Any) -> AuditPage:
    return await ask.ask(registry.AUTH_AUDIT_PAGE, PageAudit(account=account, **more))


async def user(ask: RpcClient, account: int, password: str | None = PASSWORD) -> User:
    asked = CreateUser(account=account, login=LOGIN, password=password)
    return await ask.ask(registry.AUTH_USER_CREATE, asked, 20)


async def change(ask: RpcClient, of: User, present: str, password: str = ANOTHER, account: int | None = None) -> User:
    asked = ChangePassword(
        account=account or of.account, id=of.id, present=present, password=password, actor=Actor(of.id, "192.0.2.7")
    )
    return await ask.ask(registry.AUTH_PASSWORD_CHANGE, asked, 20)


async def test_an_account_is_shown_and_its_settings_change(ask: RpcClient) -> None:
    one = (await new_account(ask, "one")).account
    other = (await new_account(ask, "other")).account
    wish = SetSettings(account=one, time_zone="Europe/Paris", region="fr", max_parts=3, actor=ANA)
    await ask.ask(registry.AUTH_SETTINGS_SET, wish)
    shown = (await ask.ask(registry.AUTH_ACCOUNT_SHOW, ShowAccount(one))).account
    assert (shown.name, shown.time_zone, shown.region, shown.max_parts) == ("one", "Europe/Paris", "FR", 3)
    assert (await ask.ask(registry.AUTH_ACCOUNT_SHOW, ShowAccount(other))).account.time_zone == "UTC"
    with pytest.raises(Invalid) as wrong:
        await ask.ask(registry.AUTH_SETTINGS_SET, SetSettings(account=one, time_zone="Mars/Olympus"))
    assert wrong.value.code == "invalid_time_zone"
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_ACCOUNT_SHOW, ShowAccount(10**9))
    with pytest.raises(NotFound):
        await ask.ask(registry.AUTH_SETTINGS_SET, SetSettings(account=10**9, max_parts=1))
    assert "status" not in SetSettings.__struct_fields__, "who is suspended stays so"


async def test_the_log_of_one_account_by_pages_and_by_filter(ask: RpcClient, monkeypatch: pytest.MonkeyPatch) -> None:
    one = (await new_account(ask, "one")).account
    other = (await new_account(ask, "other")).account
    for number in range(5):
        actor = ANA if number % 2 else Actor("usr_2", "")
        await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=one, name=str(number), actor=actor))
    await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=other, name="theirs"))
    seen: list[str] = []
    found = await page(ask, one, limit=2)
    while found.before is not None:
        seen += [str(each.detail["name"]) for each in found.entries]
        found = await page(ask, one, limit=2, before=found.before)
    assert seen + [str(each.detail["name"]) for each in found.entries] == ["4", "3", "2", "1", "0", "one"]
    mine = await page(ask, one, who=ANA.who)
    assert [each.detail["name"] for each in mine.entries] == ["3", "1"]
    assert mine.before is None
    assert [each.verb for each in (await page(ask, one, verb="account.create")).entries] == ["account.create"]
    monkeypatch.setattr(audit_store, "LOOKED_AT", 3)
    short = await page(ask, one, verb="account.create")
    assert short.entries == [], "only so many are looked at"
    assert short.before is not None, "and others are behind them"
    assert len((await page(ask, one, verb="account.create", before=short.before)).entries) == 1
    with pytest.raises(Invalid):
        await page(ask, one, before=2**63)


async def test_a_page_of_the_log_tells_what_who_and_what_is_called(ask: RpcClient) -> None:
    one, other = (await new_account(ask, "one")).account, (await new_account(ask, "other")).account
    ana = await user(ask, one)
    key = await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=one, name="shop", actor=Actor(ana.id, "")))
    client = await new_client(ask, one)
    theirs = await ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=other, name="theirs", actor=Actor(ana.id, "")))
    assert (await page(ask, one, limit=2)).names == {ana.id: LOGIN, key.id: "shop", client.client_id: "shop"}
    assert (await page(ask, one, limit=1)).names == {client.client_id: "shop"}
    assert (await page(ask, other, limit=1)).names == {theirs.id: "theirs"}, "a stranger has no name here"


async def test_a_password_of_ones_own_needs_the_present_one_and_ends_the_sessions(ask: RpcClient) -> None:
    account = (await new_account(ask)).account
    other = (await new_account(ask, "other")).account
    ana = await user(ask, account)
    for wrong in ("", ANOTHER, PASSWORD + "x"):
        with pytest.raises(Forbidden):
            await change(ask, ana, wrong)
    with pytest.raises(Invalid) as weak:
        await change(ask, ana, PASSWORD, "short")
    assert weak.value.code == "invalid_password"
    with pytest.raises(NotFound):
        await change(ask, ana, PASSWORD, account=other)
    changed = await change(ask, ana, PASSWORD)
    assert (changed.id, changed.generation) == (ana.id, ana.generation + 1)

    async def verdict(generation: int) -> Verdict:
        return await ask.ask(registry.AUTH_VERIFY, Verify("user", session_digest(ana.id, generation)))

    assert (await verdict(ana.generation)).account is None
    assert (await verdict(changed.generation)).account == account
    asked = CheckUser(login=LOGIN, password=ANOTHER, address="192.0.2.7")
    assert (await ask.ask(registry.AUTH_USER_CHECK, asked, 20)).id == ana.id
    entry = (await page(ask, account, verb="user.set_password")).entries[0]
    assert (entry.who, entry.subject) == (ana.id, ana.id)


async def test_guessing_the_present_password_is_slowed_down(ask: RpcClient) -> None:
    ana = await user(ask, (await new_account(ask)).account)
    codes: list[str] = []
    for _ in range(8):
        with pytest.raises((Forbidden, Conflict)) as refused:
            await change(ask, ana, "wrong")
        codes.append(getattr(refused.value, "code", ""))
    assert codes[0] == Forbidden.code
    assert codes[-1] == "slow_down"


async def test_who_has_none_sets_one_and_who_is_disabled_does_not(ask: RpcClient) -> None:
    account = (await new_account(ask)).account
    ana = await user(ask, account, password=None)
    changed = await change(ask, ana, "")
    assert changed.has_password
    await ask.ask(registry.AUTH_USER_SET, SetUser(account=account, id=ana.id, disabled=True))
    with pytest.raises(NotFound):
        await change(ask, ana, ANOTHER, PASSWORD)
