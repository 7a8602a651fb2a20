"""Keys, clients and enrolment keys are listed page by page: whatever there is, an answer has a bound."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import asyncpg
import msgspec
import pytest
from nats.aio.client import Client

from services.auth.store import clients, enrolment, keys
from services.auth.store.audit import Audit
from services.auth.store.pages import Pages
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.registry import Rpc
from shared.contracts.rpc.auth import CreateKey, Enrol, Key, ListKeys, RevokeKey
from shared.contracts.rpc.clients import (
    CreateClient,
    CreateEnrolmentKey,
    ListClients,
    ListEnrolmentKeys,
    RevokeClient,
    RevokeEnrolmentKey,
)
from shared.contracts.rpc.listing import MAX_LISTED, Listing, Standing
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support import stocks
from tests.support.auths import new_account, running_auth
from tests.support.stocks import MANY, Stock


@pytest.fixture
async def ask(settings: ServiceSettings, plain_client: Client) -> AsyncIterator[RpcClient]:
    async with running_auth(settings):
        yield RpcClient(plain_client)


@pytest.fixture
async def account(ask: RpcClient) -> int:
    return (await new_account(ask)).account


class Kind(NamedTuple):
    """What is listed: by which question, and how one is made and ended."""

    stock: Stock
    contract: Rpc[Any, Any]
    question: type[Listing]
    ids: Callable[[Any], list[str]]
    make: Callable[[RpcClient, int], Awaitable[Any]]
    end: Callable[[RpcClient, int, str], Awaitable[Any]]
    pages: Pages[Any]

    async def page(self, ask: RpcClient, account: int, **wish: Any) -> tuple[list[str], str | None]:
        """The ids of a page, and where the next begins."""
        found = await ask.ask(self.contract, self.question(account, **wish))
        return self.ids(found), found.before

    async def rest(self, ask: RpcClient, account: int, before: str | None, **wish: Any) -> list[str]:
        """The ids of all pages from there on."""
        found: list[str] = []
        while before is not None:
            ids, before = await self.page(ask, account, before=before, **wish)
            found += ids
        return found


KINDS = (
    Kind(
        stocks.KEYS,
        registry.AUTH_KEY_LIST,
        ListKeys,
        lambda found: [each.id for each in found.keys],
        lambda ask, account: ask.ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name="new")),
        lambda ask, account, id_: ask.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=account, id=id_)),
        keys._PAGES,
    ),
    Kind(
        stocks.CLIENTS,
        registry.AUTH_CLIENT_LIST,
        ListClients,
        lambda found: [each.client_id for each in found.clients],
        lambda ask, account: ask.ask(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name="new")),
        lambda ask, account, id_: ask.ask(registry.AUTH_CLIENT_REVOKE, RevokeClient(account=account, client_id=id_)),
        clients._PAGES,
    ),
    Kind(
        stocks.ENROLMENT,
        registry.AUTH_ENROLMENT_LIST,
        ListEnrolmentKeys,
        lambda found: [each.id for each in found.keys],
        lambda ask, account: ask.ask(registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=account)),
        lambda ask, account, id_: ask.ask(registry.AUTH_ENROLMENT_REVOKE, RevokeEnrolmentKey(account=account, id=id_)),
        enrolment._PAGES,
    ),
)

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stock.table)


@each_kind
async def test_all_are_listed_once_while_some_come_and_end(
    ask: RpcClient, account: int, pool: Pool, kind: Kind
) -> None:
    await kind.stock.fill(pool, account)
    await kind.stock.fill(pool, account, ended=True, count=30)
    living = await kind.stock.ids(pool, account, ended=False)
    ended = await kind.stock.ids(pool, account, ended=True)
    everything = set(living + ended)
    assert len(living) >= MANY

    first, before = await kind.page(ask, account)
    active, active_before = await kind.page(ask, account, state="active")
    assert len(first) == len(active) == MAX_LISTED
    await kind.make(ask, account)
    last = living[-1]
    await kind.end(ask, account, last)
    found = first + await kind.rest(ask, account, before)
    assert (len(found), set(found)) == (len(everything), everything)
    assert active + await kind.rest(ask, account, active_before, state="active") == living[:-1]

    some, more = await kind.page(ask, account, state="ended", limit=7)
    assert some + await kind.rest(ask, account, more, state="ended", limit=7) == await kind.stock.ids(
        pool, account, ended=True
    )
    assert last in await kind.stock.ids(pool, account, ended=True)


@each_kind
async def test_a_stranger_s_place_leads_nowhere(ask: RpcClient, account: int, pool: Pool, kind: Kind) -> None:
    other = (await new_account(ask, "other")).account
    await kind.stock.fill(pool, account, count=3)
    await kind.stock.fill(pool, other, count=3)
    theirs, own = await kind.stock.ids(pool, other, ended=False), await kind.stock.ids(pool, account, ended=False)
    for unknown in (*theirs, "", "nowhere"):
        assert await kind.page(ask, account, before=unknown) == ([], None)
        assert await kind.page(ask, account, id=unknown) == ([], None)
    assert await kind.page(ask, account, before=own[0]) == (own[1:], None)
    assert await kind.page(ask, account, id=own[1]) == ([own[1]], None)


@each_kind
async def test_an_answer_has_a_bound(ask: RpcClient, account: int, pool: Pool, kind: Kind) -> None:
    await kind.stock.fill(pool, account)
    for limit, length in ((2**63, MAX_LISTED), (MAX_LISTED + 1, MAX_LISTED), (2, 2), (0, 1), (-1, 1)):
        assert len((await kind.page(ask, account, limit=limit))[0]) == length


@each_kind
async def test_a_page_is_found_by_index(account: int, pool: Pool, kind: Kind) -> None:
    await kind.stock.fill(pool, account, count=2000)
    await kind.stock.fill(pool, account, ended=True, count=2000)
    table, before = kind.stock.table, (await kind.stock.ids(pool, account, ended=True))[100]
    await pool.execute(f"analyze {table}")
    for statement in kind.pages._page.values():
        for place in (None, before):
            plan = [row[0] for row in await pool.fetch(f"explain {statement}", account, place, 51)]
            assert any(f"Index Scan Backward using {table}_listed" in line for line in plan), plan
            assert any("Index Cond" in line and "ROW(created_at, id) < ROW(" in line for line in plan), plan
            assert not any(f"Seq Scan on {table}" in line for line in plan), plan


async def test_a_page_costs_the_same_statements_whatever_the_rows(
    ask: RpcClient, account: int, pool: Pool, settings: ServiceSettings
) -> None:
    statements: list[str] = []

    async def noted(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda record: statements.append(record.query))

    async def nothing(_: asyncpg.Connection) -> None:
        return None

    async with asyncpg.create_pool(settings.database_url, min_size=1, max_size=1, init=noted, reset=nothing) as own:
        for count in (3, MANY):
            for kind in KINDS:
                await pool.execute(f"delete from {kind.stock.table} where account_id = $1", account)
                await kind.stock.fill(pool, account, count=count)
                for wish in (kind.question(account), kind.question(account, id="x")):
                    statements.clear()
                    await kind.pages.read(own, wish)
                    assert len(statements) == 1
            statements.clear()
            audit = Audit(own)
            entries, _ = await audit.page(account, 50, None, None, None)
            await audit.names(account, {each.subject for each in entries})
            assert len(statements) == 2


async def test_a_phone_s_key_does_not_end_with_its_hour(ask: RpcClient, account: int, pool: Pool) -> None:
    asked = CreateEnrolmentKey(account=account)
    bound, spare = [await ask.ask(registry.AUTH_ENROLMENT_CREATE, asked) for _ in range(2)]
    await ask.ask(registry.AUTH_ENROL, Enrol(digest=digest(bound.enrolment_key)))
    await pool.execute("update enrolment_keys set expires_at = now() - interval '1 hour' where expires_at is not null")

    async def ids(state: Standing) -> list[str]:
        found = await ask.ask(registry.AUTH_ENROLMENT_LIST, ListEnrolmentKeys(account, state=state))
        return [each.id for each in found.keys]

    assert bound.id in await ids("active")
    assert await ids("ended") == [spare.id]


async def test_a_program_of_the_version_before_is_answered(ask: RpcClient, account: int, plain_client: Client) -> None:
    class Question(msgspec.Struct, tag="auth.key_list.v1"):
        account: int

    class Answer(msgspec.Struct, tag="keys"):
        keys: list[Key]

    asked = msgspec.msgpack.encode(Question(account))
    answer = await plain_client.request(registry.AUTH_KEY_LIST.subject, asked, timeout=5)
    assert [each.name for each in msgspec.msgpack.decode(answer.data, type=Answer).keys] == ["default"]
