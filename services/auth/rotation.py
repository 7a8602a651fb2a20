"""Sees to it that there is a key that signs, and that the next one is known before it does."""

import asyncio

import structlog

from services.auth.directory import Directory
from services.auth.keys import new_id
from services.auth.signing import about, new_key
from services.auth.store.signing import Signing
from shared.contracts.rpc.audit import Actor
from shared.errors import Startup
from shared.runtime.clock import Clock
from shared.security.vault import Sealed, Unopenable, Vault

log = structlog.get_logger()


class Rotation:
    """Makes signing keys when they are due or asked for."""

    def __init__(self, signing: Signing, directory: Directory, vault: Vault, clock: Clock) -> None:
        """Keys rest under `vault`; `directory` makes a new one known."""
        self._signing = signing
        self._directory = directory
        self._vault = vault
        self._clock = clock

    async def begin(self) -> None:
        """Makes the first key if there is none. Raises Startup when the key that signs cannot be opened."""
        await self._signing.ensure(_new_id(), self._seal, self._clock())
        await self._directory.catch_up()
        keyring = self._directory.memory.keyring
        if keyring.signer(self._clock()) is None:
            kids = ", ".join(sorted(keyring.unopened))
            raise Startup(
                f"The signing keys ({kids}) are sealed under another secret: put it into SMSFLEET_SECRET_KEY, "
                "or into SMSFLEET_SECRET_KEY_OLD if it was replaced."
            )

    async def tick(self) -> None:
        """Makes the next key when it is due, and withdraws those that nothing living was signed with."""
        epoch = await self._signing.tick(_new_id(), self._seal, self._clock())
        if epoch is not None:
            await self._directory.changed(epoch)

    async def rotate(self, *, at_once: bool, actor: Actor) -> None:
        """Makes the next key now. `at_once`: it signs now, and all others are withdrawn."""
        kid = _new_id()
        epoch = await self._signing.rotate(kid, self._seal, self._clock(), at_once=at_once, actor=actor)
        await self._directory.changed(epoch)
        log.info("signing key rotated", kid=kid, at_once=at_once)

    async def seal_anew(self) -> None:
        """Seals what is sealed under an older secret under today's, so that the older one can be forgotten."""
        for key in await self._signing.sealed_otherwise(self._vault.key_id):
            try:
                plain = await asyncio.to_thread(self._vault.open, key.sealed, about(key.id))
            except Unopenable:
                log.error("a signing key cannot be opened", kid=key.id)
                continue
            await self._signing.seal_anew(key, self._vault.seal(plain, about(key.id)))
            log.info("sealed anew", kid=key.id)

    def _seal(self, kid: str) -> Sealed:
        return new_key(self._vault, kid)


def _new_id() -> str:
    return new_id("sig")
