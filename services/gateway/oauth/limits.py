"""Holds those who ask for tokens to their rates, so that secrets are not tried out at the auth service's cost."""

from collections.abc import Callable
from typing import Final

from services.gateway.errors import RateLimited
from services.gateway.guesses import Guesses
from services.gateway.oauth.forms import Client
from services.gateway.rates import Rates
from shared.security.secrets import digest

WINDOW_S: Final = 60.0
MAX_ADDRESSES: Final = 10_000
MAX_PROVEN: Final = 10_000
HELD_S: Final = 1
"""What Retry-After says to an address that has guessed too much."""


class Limits:
    """Rates by address and by client, shared through Valkey; without it this process counts addresses alone.

    A client is counted under its id and secret together: who knows only the id cannot use up its rate. A pair that
    auth has accepted before is never held back because of others at its address.
    """

    def __init__(
        self, rates: Rates, guesses: Guesses, monotonic: Callable[[], float], per_client: int, per_address: int
    ) -> None:
        """`per_client` and `per_address`: requests a minute, 0 for any number; `monotonic` gives seconds."""
        self._rates = rates
        self._guesses = guesses
        self._monotonic = monotonic
        self._per_client = per_client
        self._per_address = per_address
        self._proven: dict[bytes, None] = {}
        self._counts: dict[str, tuple[float, int]] = {}

    async def arrive(self, address: str) -> None:
        """Counts a request from this address. Raises RateLimited."""
        if self._per_address and not await self._rates.spend(f"token-address:{address}", self._per_address):
            self._count_here(address)

    async def ask(self, address: str, client: Client) -> None:
        """Returns if auth may be asked about this client. Raises RateLimited."""
        pair = _pair(client)
        if pair not in self._proven and not self._guesses.may_ask(address):
            raise RateLimited(HELD_S)
        if self._per_client:
            await self._rates.spend(f"token-client:{pair.hex()}", self._per_client)

    def accepted(self, client: Client) -> None:
        """Auth knows this client by this secret."""
        pair = _pair(client)
        self._proven.pop(pair, None)
        while len(self._proven) >= MAX_PROVEN:
            del self._proven[next(iter(self._proven))]
        self._proven[pair] = None

    def refused(self, address: str, client: Client) -> None:
        """Auth does not."""
        pair = _pair(client)
        self._proven.pop(pair, None)
        self._guesses.missed(address, pair)

    def _count_here(self, address: str) -> None:
        now = self._monotonic()
        ends_at, count = self._counts.pop(address, (now + WINDOW_S, 0))
        if now >= ends_at:
            ends_at, count = now + WINDOW_S, 0
        while len(self._counts) >= MAX_ADDRESSES:
            del self._counts[next(iter(self._counts))]
        self._counts[address] = ends_at, count + 1
        if count >= self._per_address:
            raise RateLimited(max(1, round(ends_at - now)))


def _pair(client: Client) -> bytes:
    return digest(f"{client.id}:{client.secret.hex()}")
