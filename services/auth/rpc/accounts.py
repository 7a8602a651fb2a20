"""Questions about accounts, and about who did what."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import structlog

from services.auth.directory import Directory
from services.auth.keys import checked_limit, checked_name, checked_quiet, checked_region, checked_time_zone, new_id
from services.auth.rpc.keys import new_key
from services.auth.store.accounts import Accounts as AccountStore
from services.auth.store.audit import Audit
from services.auth.store.enrolment import NewEnrolmentKey
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.audit import AuditLog, AuditPage, ListAudit, PageAudit
from shared.contracts.rpc.auth import (
    AccountCreated,
    Accounts,
    AccountShown,
    CreateAccount,
    ListAccounts,
    SetAccount,
    SetSettings,
    ShowAccount,
)
from shared.errors import Conflict, NotFound
from shared.security.secrets import digest, new_api_key, new_token

log = structlog.get_logger()

_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "time_zone": checked_time_zone,
    "region": checked_region,
    "max_parts": checked_limit,
    "rate_per_minute": checked_limit,
    "daily_sends": checked_limit,
    "quiet": checked_quiet,
}
"""What each setting must be; each raises Invalid."""

MAX_ENTRIES = 1000
MAX_ON_PAGE = 200


class AccountAnswers:
    """One method a question."""

    def __init__(self, accounts: AccountStore, audit: Audit, directory: Directory) -> None:
        """Changes through these stores; `directory` makes a change known."""
        self._accounts = accounts
        self._audit = audit
        self._directory = directory

    async def create(self, request: CreateAccount) -> AccountCreated:
        """An account with its first credentials. Raises Invalid, Conflict (`name_taken`)."""
        name = checked_name(request.name)
        time_zone = checked_time_zone(request.time_zone)
        api_key, enrolment_key = new_api_key(), new_token()
        made = await self._accounts.create(
            name,
            time_zone,
            new_key("default", [], api_key),
            NewEnrolmentKey(new_id("enr"), digest(enrolment_key), single_use=False, approves=True, lives_s=None),
            request.actor,
        )
        if made is None:
            raise Conflict(f"There is an account {name} already.", code="name_taken")
        account, epoch = made
        await self._directory.changed(epoch)
        log.info("account created", account=account)
        return AccountCreated(account=account, name=name, api_key=api_key, enrolment_key=enrolment_key)

    async def list(self, _: ListAccounts) -> Accounts:
        """All accounts."""
        return Accounts(await self._accounts.list())

    async def show(self, request: ShowAccount) -> AccountShown:
        """One account. Raises NotFound."""
        account = await self._accounts.one(request.account)
        if account is None:
            raise NotFound("There is no such account.")
        return AccountShown(account)

    async def set_settings(self, request: SetSettings) -> Done:
        """Changes what an account's people may. Raises Invalid, NotFound."""
        return await self.set(SetAccount(**msgspec.structs.asdict(request)))

    async def set(self, request: SetAccount) -> Done:
        """Changes an account's settings. Raises Invalid, NotFound."""
        wished = {name: value for name in _CHECKS if (value := getattr(request, name)) is not None}
        checked = {name: _CHECKS[name](value) for name, value in wished.items()}
        epoch = await self._accounts.set(msgspec.structs.replace(request, **checked))
        if epoch is None:
            raise NotFound("There is no such account.")
        await self._directory.changed(epoch)
        log.info("account changed", account=request.account)
        return Done()

    async def audit(self, request: ListAudit) -> AuditLog:
        """The newest changes."""
        limit = max(1, min(request.limit, MAX_ENTRIES))
        return AuditLog(await self._audit.list(request.account, limit, request.before))

    async def audit_page(self, request: PageAudit) -> AuditPage:
        """The newest changes of one account, and what who and what stands there is called."""
        limit = max(1, min(request.limit, MAX_ON_PAGE))
        entries, before = await self._audit.page(request.account, limit, request.before, request.who, request.verb)
        names = await self._audit.names(request.account, {id_ for each in entries for id_ in (each.who, each.subject)})
        return AuditPage(entries=entries, before=before, names=names)
