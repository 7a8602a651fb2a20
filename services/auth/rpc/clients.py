"""Questions about OAuth2 clients and about the keys that sign their tokens."""

import structlog

from services.auth.directory import Directory
from services.auth.keys import checked_life, checked_limit, checked_name, checked_overlap, checked_scopes
from services.auth.rotation import Rotation
from services.auth.store.clients import Clients as ClientStore
from services.auth.store.clients import NewClient
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.clients import (
    ClientCreated,
    Clients,
    CreateClient,
    ListClients,
    ListSigning,
    RevokeClient,
    RotateClient,
    RotateSigning,
    SigningKeys,
)
from shared.errors import NotFound
from shared.runtime.clock import Clock
from shared.security.secrets import digest, new_client_id, new_token

log = structlog.get_logger()


class ClientAnswers:
    """One method a question."""

    def __init__(self, clients: ClientStore, rotation: Rotation, directory: Directory, clock: Clock) -> None:
        """Changes through `clients` and `rotation`; `directory` makes a change known."""
        self._clients = clients
        self._rotation = rotation
        self._directory = directory
        self._clock = clock

    async def create(self, request: CreateClient) -> ClientCreated:
        """A new client. Raises Invalid, NotFound for an unknown account."""
        secret = new_token()
        client = NewClient(
            id=new_client_id(),
            name=checked_name(request.name),
            digest=digest(secret),
            scopes=checked_scopes(request.scopes),
            rate_per_minute=checked_limit(request.rate_per_minute or 0) or None,
            lives_s=checked_life(request.lives_s),
        )
        epoch = await self._clients.create(request.account, client, request.actor)
        if epoch is None:
            raise NotFound("There is no such account.")
        await self._directory.changed(epoch)
        log.info("client created", account=request.account, client=client.id)
        return ClientCreated(client_id=client.id, client_secret=secret)

    async def list(self, request: ListClients) -> Clients:
        """A page of the account's clients, or one. Raises NotFound for an unknown account."""
        page = await self._clients.page(request)
        if page is None:
            raise NotFound("There is no such account.")
        return Clients(page.rows, page.before)

    async def rotate(self, request: RotateClient) -> ClientCreated:
        """A new secret for a living client. Raises Invalid, NotFound."""
        secret, overlap_s = new_token(), checked_overlap(request.overlap_s)
        epoch = await self._clients.rotate(request.account, request.client_id, digest(secret), overlap_s, request.actor)
        if epoch is None:
            raise NotFound("There is no such living client in this account.")
        await self._directory.changed(epoch)
        log.info("client rotated", account=request.account, client=request.client_id)
        return ClientCreated(client_id=request.client_id, client_secret=secret)

    async def revoke(self, request: RevokeClient) -> Done:
        """Ends a client and its tokens at once. Raises NotFound."""
        epoch = await self._clients.revoke(request.account, request.client_id, request.actor)
        if epoch is None:
            raise NotFound("There is no such client in this account.")
        await self._directory.changed(epoch)
        log.info("client revoked", account=request.account, client=request.client_id)
        return Done()

    async def rotate_signing(self, request: RotateSigning) -> SigningKeys:
        """A new signing key; the keys after that."""
        await self._rotation.rotate(at_once=request.at_once, actor=request.actor)
        return await self.list_signing(ListSigning())

    async def list_signing(self, _: ListSigning) -> SigningKeys:
        """The published keys."""
        return SigningKeys((await self._directory.newest()).keyring.infos(self._clock()))
