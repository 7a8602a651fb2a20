"""Long lists, asked for page after page: each answer must fit a message, and a command shows all."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.registry import Rpc


async def every(rpc: "RpcClient", contract: "Rpc[Any, Any]", account: int, rows: str) -> list[Any]:
    """All that an account has, in order of creation; `rows` is what an answer calls them."""
    found: list[Any] = []
    before = None
    while True:
        page = await rpc.ask(contract, contract.request(account=account, before=before))
        found += getattr(page, rows)
        before = page.before
        if before is None:
            return found[::-1]


async def one(rpc: "RpcClient", contract: "Rpc[Any, Any]", account: int, rows: str, id_: str, field: str = "id") -> Any:
    """The one whose `field` is this id; None where the account has no such one."""
    page = await rpc.ask(contract, contract.request(account=account, id=id_))
    # An auth of the version before answers all.
    return next((each for each in getattr(page, rows) if getattr(each, field) == id_), None)
