"""Questions about API keys."""

from collections.abc import Sequence

import structlog

from services.auth.directory import Directory
from services.auth.keys import (
    PREFIX_CHARS,
    checked_life,
    checked_limit,
    checked_name,
    checked_overlap,
    checked_scopes,
    new_id,
)
from services.auth.store.keys import Keys as KeyStore
from services.auth.store.keys import NewKey
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.auth import CreateKey, KeyCreated, Keys, ListKeys, RevokeKey, RotateKey
from shared.errors import NotFound
from shared.security.secrets import digest, new_api_key

log = structlog.get_logger()


class KeyAnswers:
    """One method a question."""

    def __init__(self, keys: KeyStore, directory: Directory) -> None:
        """Changes through `keys`; `directory` makes a change known."""
        self._keys = keys
        self._directory = directory

    async def create(self, request: CreateKey) -> KeyCreated:
        """A new API key. Raises Invalid, NotFound for an unknown account."""
        api_key = new_api_key()
        rate = checked_limit(request.rate_per_minute or 0) or None
        key = new_key(request.name, request.scopes, api_key, rate, request.lives_s)
        epoch = await self._keys.create(request.account, key, request.actor)
        if epoch is None:
            raise NotFound("There is no such account.")
        await self._directory.changed(epoch)
        log.info("key created", account=request.account, key=key.id)
        return KeyCreated(id=key.id, api_key=api_key)

    async def list(self, request: ListKeys) -> Keys:
        """A page of the account's API keys, or one. Raises NotFound for an unknown account."""
        page = await self._keys.page(request)
        if page is None:
            raise NotFound("There is no such account.")
        return Keys(page.rows, page.before)

    async def rotate(self, request: RotateKey) -> KeyCreated:
        """A new secret for a living key. Raises Invalid, NotFound."""
        api_key, overlap_s = new_api_key(), checked_overlap(request.overlap_s)
        epoch = await self._keys.rotate(
            request.account, request.id, digest(api_key), api_key[:PREFIX_CHARS], overlap_s, request.actor
        )
        if epoch is None:
            raise NotFound("There is no such living key in this account.")
        await self._directory.changed(epoch)
        log.info("key rotated", account=request.account, key=request.id)
        return KeyCreated(id=request.id, api_key=api_key)

    async def revoke(self, request: RevokeKey) -> Done:
        """Ends an API key at once. Raises NotFound."""
        epoch = await self._keys.revoke(request.account, request.id, request.actor)
        if epoch is None:
            raise NotFound("There is no such key in this account.")
        await self._directory.changed(epoch)
        log.info("key revoked", account=request.account, key=request.id)
        return Done()


def new_key(
    name: str, scopes: Sequence[str], api_key: str, rate_per_minute: int | None = None, lives_s: int | None = None
) -> NewKey:
    """What is stored of this key. Raises Invalid."""
    return NewKey(
        id=new_id("key"),
        name=checked_name(name),
        digest=digest(api_key),
        prefix=api_key[:PREFIX_CHARS],
        scopes=checked_scopes(scopes),
        rate_per_minute=rate_per_minute,
        lives_s=checked_life(lives_s),
    )
