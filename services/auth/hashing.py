"""Password hashes (argon2id), made off the event loop and never many at once: each takes 64 MiB and a core."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import Unavailable

AT_ONCE: Final = 2
MAX_WAITING: Final = 16
"""More are told to come again."""

DEADLINE_S: Final = 10.0

Result = TypeVar("Result")


class Checked(NamedTuple):
    """Whether the password was right, and its hash by today's parameters if the stored one was made by others."""

    right: bool
    better_hash: str | None = None


class Hashing:
    """The hasher with its threads."""

    def __init__(self, hasher: PasswordHasher) -> None:
        """Starts no thread before the first hash. Hashes that `hasher` would make otherwise are made anew."""
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._under_way = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to store. Raises Unavailable when too many are asked for."""
        return await self._apart(lambda: self._hasher.hash(_bytes(password)))

    async def check(self, stored: str | None, password: str) -> Checked:
        """Whether the password is the one of this hash; None, for nobody, takes as long. Raises Unavailable."""
        return await self._apart(lambda: self._check(stored, password))

    def close(self) -> None:
        """Ends the threads; what they do is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, stored: str | None, password: str) -> Checked:
        if self._nobody is None:
            self._nobody = self._hasher.hash(b"nobody's")
        try:
            self._hasher.verify(stored or self._nobody, _bytes(password))
        except (VerificationError, InvalidHashError):
            return Checked(right=False)
        if stored is None:
            return Checked(right=False)
        outdated = self._hasher.check_needs_rehash(stored)
        return Checked(right=True, better_hash=self._hasher.hash(_bytes(password)) if outdated else None)

    async def _apart(self, work: Callable[[], Result]) -> Result:
        if self._under_way >= AT_ONCE + MAX_WAITING:
            raise Unavailable("Too many people sign in at once; try again soon.")
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # Counted until the thread is done with it, also when nobody waits any more.
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise Unavailable("Too many people sign in at once; try again soon.") from error

    def _done(self, _: "asyncio.Future[Result]") -> None:
        self._under_way -= 1


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")
