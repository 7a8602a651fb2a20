"""Who is signed in, kept in Valkey over all replicas. It may lose everything: people sign in again, and nothing else.

A browser holds a token; what is stored stands under the token's SHA-256 and holds no secret. What a session is worth is
auth's to say: it is asked about the session's digest, which a new password and a sign-out everywhere make nobody's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.contracts.rpc.people import User, session_digest
from shared.errors import Startup, Unavailable
from shared.runtime.clock import Clock
from shared.security.secrets import derive_key, digest, new_token

log = structlog.get_logger()

IDLE_S: Final = 7 * 86_400
"""A session that is not used for so many seconds ends."""

LIVES_S: Final = 30 * 86_400
"""Any session ends so many seconds after it began."""

MAX_OF_USER: Final = 50
"""Of a user with more the oldest one ends."""

TIMEOUT_S: Final = 1.0
MAX_CONNECTIONS: Final = 16

_TOKEN_CHARS: Final = 64

# The user's set names what close_all has to end; a member outlives its session by LIVES_S at most.
_OPEN: Final = """
redis.call('set', KEYS[1], ARGV[1], 'ex', ARGV[2])
redis.call('zadd', KEYS[2], ARGV[3], KEYS[1])
redis.call('expire', KEYS[2], ARGV[4])
redis.call('zremrangebyscore', KEYS[2], '-inf', ARGV[3] - ARGV[4])
local over = redis.call('zcard', KEYS[2]) - ARGV[5]
if over > 0 then
    for place, word in ipairs(redis.call('zpopmin', KEYS[2], over)) do
        if place % 2 == 1 then
            redis.call('del', word)
        end
    end
end
"""

_CLOSE_ALL: Final = """
for _, name in ipairs(redis.call('zrange', KEYS[1], 0, -1)) do
    redis.call('del', name)
end
redis.call('del', KEYS[1])
"""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in Valkey. `generation` is the user's at the sign-in; `started_at` in Unix seconds."""

    user: str
    account: int
    login: str
    generation: int
    started_at: float


class Session(_Kept, frozen=True, kw_only=True):
    """A signed-in browser. `csrf` (64 hex characters) stands in every form that it is given."""

    csrf: str

    def digest(self) -> bytes:
        """What auth is asked about, as the credential `user`."""
        return session_digest(self.user, self.generation)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class Sessions:
    """Opens, finds and closes sessions. Raises Unavailable while Valkey does not answer."""

    def __init__(self, url: str | None, clock: Clock) -> None:
        """`url` of Valkey or Redis; None: there is none, and nobody can sign in. Raises Startup for what is none."""
        self._client = _client(url) if url else None
        self._clock = clock
        self._away = False

    async def reach(self) -> None:
        """Returns when sessions can be opened now."""
        async with self._asked() as client:
            await client.ping()

    async def open(self, user: User) -> tuple[str, Session]:
        """A session of a user who has just shown who they are, and its token (64 hex characters), always a new one."""
        token, now = new_token(), self._clock()
        kept = _Kept(user=user.id, account=user.account, login=user.login, generation=user.generation, started_at=now)
        async with self._asked() as client:
            await client.eval(
                _OPEN, 2, _name(token), _of_user(user.id), _encode(kept), IDLE_S, now, LIVES_S, MAX_OF_USER
            )
        return token, _session(kept, token)

    async def find(self, token: str) -> Session | None:
        """The session of this token, if it lives; its idle time begins anew."""
        if len(token) != _TOKEN_CHARS:
            return None
        async with self._asked() as client:
            stored = await client.getex(_name(token), ex=IDLE_S)
        try:
            kept = _decode(stored) if isinstance(stored, bytes) else None
        except msgspec.MsgspecError:
            return None
        if kept is None or self._clock() >= kept.started_at + LIVES_S:
            return None
        return _session(kept, token)

    async def close(self, token: str) -> None:
        """Ends the session of this token, if there is one."""
        async with self._asked() as client:
            await client.delete(_name(token))

    async def close_all(self, user: str) -> None:
        """Ends every session of this user (id) that was opened before."""
        async with self._asked() as client:
            await client.eval(_CLOSE_ALL, 1, _of_user(user))

    async def close_client(self) -> None:
        """Closes the connections to Valkey."""
        if self._client is not None:
            await self._client.aclose()

    @contextlib.asynccontextmanager
    async def _asked(self) -> AsyncIterator[redis.asyncio.Redis]:
        if self._client is None:
            raise Unavailable("Nobody can sign in: SMSFLEET_REDIS_URL names no Valkey to keep sessions in.")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield self._client
            self._away = False
        except (RedisError, OSError, TimeoutError) as error:
            if not self._away:
                log.warning("sessions cannot be reached", error=repr(error)[:300])
            self._away = True
            raise Unavailable("Sessions cannot be reached; try again soon.") from error


def csrf_of(token: str) -> str:
    """What a form must hold that a browser with this token sends: 64 hex characters that tell nothing of the token."""
    return derive_key(token, "csrf").hex()


def _session(kept: _Kept, token: str) -> Session:
    return Session(**msgspec.structs.asdict(kept), csrf=csrf_of(token))


def _name(token: str) -> str:
    return f"session:{digest(token).hex()}"


def _of_user(user: str) -> str:
    return f"sessions:{user}"


def _client(url: str) -> redis.asyncio.Redis:
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise Startup(f"SMSFLEET_REDIS_URL is not valid: {error}") from error
    return redis.asyncio.Redis.from_pool(pool)
