"""The accounts that the contract tests use, each with what its name says, on the one running system."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import nats
import pytest

from shared.bus.provision import provision
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import CreateAccount, CreateKey, KeyCreated, RevokeKey, SetAccount
from shared.runtime.settings import ServiceSettings
from tests.support.gateway import NOWHERE, Gateway
from tests.support.gateways import further_gateway
from tests.support.http import FORM, Response, form
from tests.support.issuer import Issuer, issuing_gateway
from tests.support.scripted import ScriptedPhone
from tests.support.servers import Servers
from tests.support.system import System
from tests.support.transcripts import ZONE


@dataclass
class Account:
    """An account of the system."""

    id: int
    name: str
    key: str
    enrolment_key: str
    phone: ScriptedPhone | None = None

    @property
    def device(self) -> str:
        """Its phone's public id."""
        return self.phone.device if self.phone else "-" * 21


class World:
    """Makes accounts with phones that the tests play; all of them stay until the end of the run."""

    def __init__(self, system: System, operator: RpcClient, stack: contextlib.AsyncExitStack) -> None:
        """`operator` is asked as the commands ask; phones live as long as the stack."""
        self.system = system
        self._rpc = operator
        self._stack = stack
        self._named: dict[str, asyncio.Task[Account]] = {}
        self._compatible: str | None = None
        self._phones: list[ScriptedPhone] = []

    async def fresh(self, name: str = "fresh", *channels: str, phone: bool = True) -> Account:
        """A new account; its phone serves SMS unless told otherwise."""
        question = CreateAccount(name=f"{name} {secrets.token_hex(4)}", time_zone=ZONE.key)
        made = await self._rpc.ask(registry.AUTH_ACCOUNT_CREATE, question)
        account = Account(made.account, made.name, made.api_key, made.enrolment_key)
        if phone:
            account.phone = await self._stack.enter_async_context(
                ScriptedPhone(self.system.base_url, account.enrolment_key, channels or ("sms",))
            )
            self._phones.append(account.phone)
        return account

    async def gather(self) -> None:
        """Every phone is connected when this returns."""
        await asyncio.gather(*(phone.be_there() for phone in self._phones))

    async def account(self, name: str) -> Account:
        """The account of this name, made when it is first asked for."""
        if name == "fresh":
            return await self.fresh()
        if name not in self._named:
            self._named[name] = asyncio.create_task(self._make(name))
        return await self._named[name]

    async def key(self, account: Account, *scopes: str, rate_per_minute: int | None = None) -> str:
        """A further key of the account."""
        return (await self._key(account, list(scopes), rate_per_minute)).api_key

    async def revoked_key(self, account: Account) -> str:
        """A key that was good once."""
        made = await self._key(account, [], None)
        await self._rpc.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=account.id, id=made.id))
        return made.api_key

    async def _key(self, account: Account, scopes: list[str], rate_per_minute: int | None) -> KeyCreated:
        question = CreateKey(account=account.id, name="further", scopes=scopes, rate_per_minute=rate_per_minute)
        return await self._rpc.ask(registry.AUTH_KEY_CREATE, question)

    async def base_url(self, at: str) -> str:
        """The address of the system's own gateway, or of one that is told to be `compatible`, also with browsers."""
        if at == "system":
            return self.system.base_url
        assert at == "compatible", f"there is no gateway {at!r}"
        if self._compatible is None:
            made = await self._stack.enter_async_context(
                further_gateway(
                    self.system,
                    SMSFLEET_COMPAT_HTTP_200_ERRORS="true",
                    SMSFLEET_COMPAT_DELETE_ALL="true",
                    SMSFLEET_CORS_ORIGINS="*",
                )
            )
            self._compatible = made.base_url
        return self._compatible

    async def _make(self, name: str) -> Account:
        match name:
            case "phoneless":
                return await self.fresh(name, phone=False)
            case "whatsapp":
                return await self.fresh(name, "sms", "whatsapp")
            case "short":
                account = await self.fresh(name)
                await self._rpc.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=account.id, max_parts=2))
                return account
            case "belgian":
                account = await self.fresh(name)
                await self._rpc.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=account.id, region="BE"))
                return account
            case "suspended":
                account = await self.fresh(name)
                await self._rpc.ask(registry.AUTH_ACCOUNT_SET, SetAccount(account=account.id, status="suspended"))
                return account
            case _:
                assert name in ("sender", "other"), f"there is no account {name!r}"
                return await self.fresh(name)


@pytest.fixture(scope="session")
async def standing_world(system: System) -> AsyncIterator[World]:
    """The accounts of this run."""
    client = await system.nats()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        yield World(system, RpcClient(client), stack)


@dataclass
class OAuth:
    """A gateway whose auth is played, for what no real one would issue or answer."""

    gateway: Gateway
    issuer: Issuer

    async def post(self, path: str, headers: Mapping[str, str] | None = None, /, **fields: str) -> Response:
        """A form, by itself without any authentication."""
        return await self.gateway.ask("POST", path, body=form(**fields), headers={**FORM, **(headers or {})})

    async def account(self, bearer: str) -> Response:
        """/v1/account with this Bearer value."""
        return await self.gateway.ask("GET", "/v1/account", headers={"Authorization": f"Bearer {bearer}"})


@pytest.fixture(scope="module")
async def oauth(servers: Servers) -> AsyncIterator[OAuth]:
    """One for each file of tests."""
    client = await nats.connect(servers.nats_url, nkeys_seed=servers.nats_nkey_file, connect_timeout=5)
    await provision(client)
    settings = ServiceSettings(
        nats_url=servers.nats_url, nats_nkey_file=servers.nats_nkey_file, database_url=NOWHERE, secret_key="5ec2e7" * 10
    )
    async with issuing_gateway(settings, client, guesses_per_minute=0) as (gateway, issuer):
        yield OAuth(gateway, issuer)
    await client.close()


@pytest.fixture
async def world(standing_world: World) -> World:
    """The accounts of this run, their phones connected, whatever blocked this process before."""
    await standing_world.gather()
    return standing_world
