"""Questions about how phones get in: enrolment keys and device tokens."""

import structlog

from services.auth.directory import Directory
from services.auth.keys import checked_life, new_id
from services.auth.store.enrolment import Enrolment, NewEnrolmentKey
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.auth import Enrol, Enrolled, RevokeDevice
from shared.contracts.rpc.clients import (
    CreateEnrolmentKey,
    EnrolmentKeyCreated,
    EnrolmentKeys,
    ListEnrolmentKeys,
    RevokeEnrolmentKey,
)
from shared.errors import Forbidden, NotFound
from shared.model.ids import new_device_id
from shared.security.secrets import digest, new_token

log = structlog.get_logger()


class EnrolmentAnswers:
    """One method a question."""

    def __init__(self, enrolment: Enrolment, directory: Directory) -> None:
        """Changes through `enrolment`; `directory` makes a change known."""
        self._enrolment = enrolment
        self._directory = directory

    async def enrol(self, request: Enrol) -> Enrolled:
        """A device with a new token. Raises Forbidden for a key that is unknown, expired or revoked."""
        token = new_token()
        bound = await self._enrolment.enrol(request.digest, new_device_id(), digest(token), request.address)
        if bound is None:
            raise Forbidden("The enrolment key is not valid.")
        await self._directory.changed(bound.epoch)
        log.info("device enrolled", account=bound.account, device=bound.device, approved=bound.approved)
        return Enrolled(account=bound.account, device=bound.device, token=token, approved=bound.approved)

    async def create(self, request: CreateEnrolmentKey) -> EnrolmentKeyCreated:
        """A new enrolment key. Raises Invalid, NotFound for an unknown account."""
        secret = new_token()
        key = NewEnrolmentKey(
            id=new_id("enr"),
            digest=digest(secret),
            single_use=not request.multi,
            approves=request.approve,
            lives_s=checked_life(request.lives_s),
        )
        stored = await self._enrolment.create(request.account, key, request.actor)
        if stored is None:
            raise NotFound("There is no such account.")
        await self._directory.changed(stored.epoch)
        log.info("enrolment key created", account=request.account, key=key.id)
        return EnrolmentKeyCreated(id=key.id, enrolment_key=secret, expires_at=stored.expires_at)

    async def list(self, request: ListEnrolmentKeys) -> EnrolmentKeys:
        """A page of the account's enrolment keys, or one. Raises NotFound for an unknown account."""
        page = await self._enrolment.page(request)
        if page is None:
            raise NotFound("There is no such account.")
        return EnrolmentKeys(page.rows, page.before)

    async def revoke(self, request: RevokeEnrolmentKey) -> Done:
        """Ends an enrolment key at once. Raises NotFound."""
        epoch = await self._enrolment.revoke(request.account, request.id, request.actor)
        if epoch is None:
            raise NotFound("There is no such enrolment key in this account.")
        await self._directory.changed(epoch)
        log.info("enrolment key revoked", account=request.account, key=request.id)
        return Done()

    async def revoke_device(self, request: RevokeDevice) -> Done:
        """Ends a device's credentials at once. Raises NotFound."""
        epoch = await self._enrolment.revoke_device(request.account, request.device, request.actor)
        if epoch is None:
            raise NotFound("There is no such phone in this account.")
        await self._directory.changed(epoch)
        log.info("device revoked", account=request.account, device=request.device)
        return Done()
