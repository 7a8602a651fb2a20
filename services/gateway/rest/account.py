"""/v1/account: what a program may want to know of itself."""

import msgspec
from litestar import get

from services.gateway.rest.routes import RestRequest
from services.gateway.scopes import AUTHENTICATED, OPT


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The caller. `credential` is the id of its key or client; `scopes` are what its key or token allows."""

    account: int
    credential: str
    scopes: list[str]
    time_zone: str
    region: str | None


@get("/account", opt={OPT: AUTHENTICATED}, summary="Show the caller's account")
async def account(request: RestRequest) -> Account:
    """The account that the API key or token is of, and what it allows."""
    caller = request.user
    assert caller.account is not None
    return Account(
        account=caller.account,
        credential=caller.subject,
        scopes=caller.scopes,
        time_zone=caller.time_zone,
        region=caller.region,
    )
