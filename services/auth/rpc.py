"""Answers the questions of `rpc.auth.*`: verdicts from memory, changes through the store and the epoch."""

from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from services.auth.directory import Directory
from services.auth.keys import (
    PREFIX_CHARS,
    checked_limit,
    checked_name,
    checked_region,
    checked_scopes,
    checked_time_zone,
    new_id,
)
from services.auth.store import NewEnrolmentKey, NewKey, Store
from shared.bus.rpc import Responder
from shared.contracts import registry
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.auth import (
    AccountCreated,
    Accounts,
    CreateAccount,
    CreateKey,
    Enrol,
    Enrolled,
    KeyCreated,
    Keys,
    ListAccounts,
    ListKeys,
    RevokeDevice,
    RevokeKey,
    SetAccount,
    Verdict,
    Verify,
)
from shared.errors import Conflict, Forbidden, NotFound
from shared.model.ids import new_device_id
from shared.runtime.clock import Clock
from shared.security.secrets import digest, new_api_key, new_token

log = structlog.get_logger()


class Answers:
    """One method a question."""

    def __init__(self, store: Store, directory: Directory, clock: Clock) -> None:
        """`directory` holds the memory that verdicts come from."""
        self._store = store
        self._directory = directory
        self._clock = clock

    async def verify(self, request: Verify) -> Verdict:
        """Who is behind this credential, by all that this replica has heard of."""
        known = await self._directory.newest()
        return known.verdict(request.kind, request.digest, self._clock())

    async def enrol(self, request: Enrol) -> Enrolled:
        """A device with a new token. Raises Forbidden for a key that is unknown, expired or revoked."""
        token = new_token()
        bound = await self._store.enrol(request.digest, new_device_id(), digest(token))
        if bound is None:
            raise Forbidden("The enrolment key is not valid.")
        await self._directory.changed(bound.epoch)
        log.info("device enrolled", account=bound.account, device=bound.device, approved=bound.approved)
        return Enrolled(account=bound.account, device=bound.device, token=token, approved=bound.approved)

    async def create_account(self, request: CreateAccount) -> AccountCreated:
        """An account with its first credentials. Raises Invalid, Conflict (`name_taken`)."""
        name = checked_name(request.name)
        time_zone = checked_time_zone(request.time_zone)
        api_key, enrolment_key = new_api_key(), new_token()
        made = await self._store.create_account(
            name,
            time_zone,
            _new_key("default", [], api_key),
            NewEnrolmentKey(new_id("enr"), digest(enrolment_key), single_use=False, approves=True, lives_s=None),
        )
        if made is None:
            raise Conflict(f"There is an account {name} already.", code="name_taken")
        account, epoch = made
        await self._directory.changed(epoch)
        log.info("account created", account=account)
        return AccountCreated(account=account, name=name, api_key=api_key, enrolment_key=enrolment_key)

    async def set_account(self, request: SetAccount) -> Done:
        """Changes an account's settings. Raises Invalid, NotFound."""
        checked = msgspec.structs.replace(
            request,
            time_zone=None if request.time_zone is None else checked_time_zone(request.time_zone),
            region=None if request.region is None else checked_region(request.region),
            max_parts=None if request.max_parts is None else checked_limit(request.max_parts),
            rate_per_minute=None if request.rate_per_minute is None else checked_limit(request.rate_per_minute),
        )
        epoch = await self._store.set_account(checked)
        if epoch is None:
            raise NotFound("There is no such account.")
        await self._directory.changed(epoch)
        log.info("account changed", account=request.account)
        return Done()

    async def revoke_device(self, request: RevokeDevice) -> Done:
        """Ends a device's credentials at once. Raises NotFound."""
        epoch = await self._store.revoke_device(request.account, request.device)
        if epoch is None:
            raise NotFound("There is no such phone in this account.")
        await self._directory.changed(epoch)
        log.info("device revoked", account=request.account, device=request.device)
        return Done()

    async def list_accounts(self, _: ListAccounts) -> Accounts:
        """All accounts."""
        return Accounts(await self._store.accounts())

    async def create_key(self, request: CreateKey) -> KeyCreated:
        """A new API key. Raises Invalid, NotFound for an unknown account."""
        api_key = new_api_key()
        key = _new_key(request.name, request.scopes, api_key, checked_limit(request.rate_per_minute or 0) or None)
        epoch = await self._store.create_key(request.account, key)
        if epoch is None:
            raise NotFound("There is no such account.")
        await self._directory.changed(epoch)
        log.info("key created", account=request.account, key=key.id)
        return KeyCreated(id=key.id, api_key=api_key)

    async def list_keys(self, request: ListKeys) -> Keys:
        """The account's API keys. Raises NotFound for an unknown account."""
        keys = await self._store.keys(request.account)
        if keys is None:
            raise NotFound("There is no such account.")
        return Keys(keys)

    async def revoke_key(self, request: RevokeKey) -> Done:
        """Ends an API key at once. Raises NotFound."""
        epoch = await self._store.revoke_key(request.account, request.id)
        if epoch is None:
            raise NotFound("There is no such key in this account.")
        await self._directory.changed(epoch)
        log.info("key revoked", account=request.account, key=request.id)
        return Done()


def responders(answers: Answers, is_surroundings_error: Callable[[Exception], bool]) -> list[Responder[Any, Any]]:
    """A responder for each question of the registry that is auth's."""
    return [
        Responder(registry.AUTH_VERIFY, answers.verify, is_surroundings_error),
        Responder(registry.AUTH_ENROL, answers.enrol, is_surroundings_error),
        Responder(registry.AUTH_ACCOUNT_CREATE, answers.create_account, is_surroundings_error),
        Responder(registry.AUTH_ACCOUNT_LIST, answers.list_accounts, is_surroundings_error),
        Responder(registry.AUTH_ACCOUNT_SET, answers.set_account, is_surroundings_error),
        Responder(registry.AUTH_DEVICE_REVOKE, answers.revoke_device, is_surroundings_error),
        Responder(registry.AUTH_KEY_CREATE, answers.create_key, is_surroundings_error),
        Responder(registry.AUTH_KEY_LIST, answers.list_keys, is_surroundings_error),
        Responder(registry.AUTH_KEY_REVOKE, answers.revoke_key, is_surroundings_error),
    ]


def _new_key(name: str, scopes: list[str], api_key: str, rate_per_minute: int | None = None) -> NewKey:
    return NewKey(
        id=new_id("key"),
        name=checked_name(name),
        digest=digest(api_key),
        prefix=api_key[:PREFIX_CHARS],
        scopes=checked_scopes(scopes),
        rate_per_minute=rate_per_minute,
    )
