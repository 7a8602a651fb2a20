"""The dashboard with real auth behind it: a gateway, an account and its people."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
from nats.aio.client import Client

from deploy.local.ports import free_port
from services.gateway.app import open_service
from services.gateway.settings import GatewaySettings
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.people import CreateLink, CreateUser, User
from shared.runtime.settings import ServiceSettings
from tests.support.auths import new_account, running_auth
from tests.support.browser import Browser, browsing
from tests.support.smsgate_world import World

PASSWORD = "velvet otter 42"
OWNER = "ana@example.org"


@dataclass(frozen=True)
class Dashboard:
    """A running one, and its account's first owner."""

    url: str
    ask: RpcClient
    account: int
    owner: User

    async def new_user(self, login: str, **more: Any) -> User:
        request = CreateUser(account=self.account, login=login, password=PASSWORD, **more)
        return await self.ask.ask(registry.AUTH_USER_CREATE, request, 20)

    async def new_link(self, user: User) -> str:
        """The path of a link that signs this user in once."""
        made = await self.ask.ask(registry.AUTH_LINK_CREATE, CreateLink(account=self.account, id=user.id))
        return f"/dashboard/link/{made.token}"

    @contextlib.asynccontextmanager
    async def signed_in(self, login: str | None = None) -> AsyncIterator[Browser]:
        """A browser of this user's, or the owner's."""
        async with browsing(self.url) as browser:
            assert (await browser.sign_in(login or self.owner.login, PASSWORD)).status == 303
            yield browser


async def dashboard_of(world: World) -> Dashboard:
    """That of a further account of an installation that runs already, with an owner of its own."""
    await world.begin()
    account = world.account.account
    request = CreateUser(account=account, login=f"ana.{account}@example.org", role="owner", password=PASSWORD)
    owner = await world.ask.ask(registry.AUTH_USER_CREATE, request, 20)
    return Dashboard(world.url, world.ask, account, owner)


@contextlib.asynccontextmanager
async def running_dashboard(settings: ServiceSettings, client: Client, **changes: Any) -> AsyncIterator[Dashboard]:
    """A gateway and auth of this test's own; `changes` are settings of the gateway."""
    own = GatewaySettings(**(msgspec.structs.asdict(settings) | {"port": free_port(), "leave_s": 0} | changes))
    async with running_auth(settings), open_service(own):
        ask = RpcClient(client)
        account = (await new_account(ask)).account
        request = CreateUser(account=account, login=OWNER, role="owner", password=PASSWORD)
        owner = await ask.ask(registry.AUTH_USER_CREATE, request, 20)
        yield Dashboard(f"http://127.0.0.1:{own.port}", ask, account, owner)
