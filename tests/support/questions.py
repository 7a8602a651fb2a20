"""Questions to other services as values: several kinds stand in one list, each held to its contract's types."""

from collections.abc import Awaitable, Callable
from typing import TypedDict

from shared.bus.rpc import RpcClient
from shared.contracts.registry import Reply, Request, Rpc


class Named(TypedDict):
    """What most questions about a row begin with."""

    account: int
    id: str


Question = Callable[[RpcClient], Awaitable[object]]
"""Asks when it is called and gives the reply; raises as RpcClient.ask does."""


def question(contract: Rpc[Request, Reply], request: Request, timeout: float = 5.0) -> Question:
    """This request to the owner of the rows; `timeout` in seconds."""

    async def put(rpc: RpcClient) -> Reply:
        return await rpc.ask(contract, request, timeout)

    return put
