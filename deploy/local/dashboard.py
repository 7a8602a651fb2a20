"""Makes the link by which the person who runs an installation gets into its dashboard."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.local.setup import FIRST_ACCOUNT, RPC_S, nats_connection

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.auth import Account
    from shared.contracts.rpc.people import User


@dataclass(frozen=True)
class SignInLink:
    """Signs `login` in once, until `expires_at` (Unix seconds)."""

    link: str
    login: str
    expires_at: float


async def first_link(dashboard: str, nats_url: str, nkey: Mapping[str, str]) -> SignInLink:
    """Return a link for the owner of the first account; raise LocalError, or what `sign_in_link` raises."""
    from shared.bus.rpc import RpcClient
    from shared.contracts import registry
    from shared.contracts.rpc.auth import ListAccounts
    from shared.errors import NotFound

    async with nats_connection(nats_url, nkey, "cli") as client:
        rpc = RpcClient(client)
        for account in (await rpc.ask(registry.AUTH_ACCOUNT_LIST, ListAccounts(), RPC_S)).accounts:
            if account.name == FIRST_ACCOUNT:
                return await sign_in_link(rpc, dashboard, account)
    raise NotFound(f"There is no account {FIRST_ACCOUNT}.")


async def sign_in_link(rpc: "RpcClient", dashboard: str, account: "Account", login: str | None = None) -> SignInLink:
    """Return a link for the user of this login, else for the account's first owner, who is made where nobody is.

    Raise NotFound where there is no such user, or nobody who may sign in; Conflict where somebody else makes the
    owner at this moment; Unavailable.
    """
    from shared.contracts import registry
    from shared.contracts.rpc.people import CreateLink

    user = await _user(rpc, account, login)
    made = await rpc.ask(registry.AUTH_LINK_CREATE, CreateLink(account=account.id, id=user.id), RPC_S)
    return SignInLink(f"{dashboard}/link/{made.token}", user.login, made.expires_at)


async def _user(rpc: "RpcClient", account: "Account", login: str | None) -> "User":
    from shared.contracts import registry
    from shared.contracts.rpc.people import CreateUser, ListUsers
    from shared.errors import NotFound

    users = (await rpc.ask(registry.AUTH_USER_LIST, ListUsers(account.id), RPC_S)).users
    if login is not None:
        wanted = [each for each in users if each.login == login.strip().lower()]
    else:
        wanted = [each for each in users if each.role == "owner" and not each.disabled]
    if wanted:
        return wanted[0]
    if login is not None:
        raise NotFound(f"There is no user {login!r} in this account.")
    if users:
        raise NotFound("No owner of this account may sign in. Let one in again: smsfleet user enable LOGIN")
    # Logins are unique over all accounts.
    name = "owner@localhost" if account.name == FIRST_ACCOUNT else f"owner.{account.id}@localhost"
    return await rpc.ask(registry.AUTH_USER_CREATE, CreateUser(account=account.id, login=name, role="owner"), RPC_S)
