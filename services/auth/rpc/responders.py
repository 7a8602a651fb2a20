"""Binds each question of the registry that is auth's to the method that answers it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from services.auth.rpc.accounts import AccountAnswers
from services.auth.rpc.clients import ClientAnswers
from services.auth.rpc.enrolment import EnrolmentAnswers
from services.auth.rpc.keys import KeyAnswers
from services.auth.rpc.tokens import TokenAnswers
from services.auth.rpc.users import UserAnswers
from shared.bus.rpc import Responder
from shared.contracts import registry
from shared.errors import Invalid

log = structlog.get_logger()


@dataclass(frozen=True)
class Answers:
    """Who answers, by topic."""

    tokens: TokenAnswers
    accounts: AccountAnswers
    keys: KeyAnswers
    clients: ClientAnswers
    enrolment: EnrolmentAnswers
    users: UserAnswers


ErrorTest = Callable[[Exception], bool]


def responders(by: Answers, *, is_item_error: ErrorTest, is_surroundings_error: ErrorTest) -> list[Responder[Any, Any]]:
    """A responder for each question. `is_item_error` tells what Postgres refuses whatever its state."""
    bound: list[tuple[Any, Any]] = [
        (registry.AUTH_VERIFY, by.tokens.verify),
        (registry.AUTH_TOKEN_ISSUE, by.tokens.issue),
        (registry.AUTH_TOKEN_INTROSPECT, by.tokens.introspect),
        (registry.AUTH_TOKEN_REVOKE, by.tokens.revoke),
        (registry.AUTH_TRUST, by.tokens.trust),
        (registry.AUTH_ENROL, by.enrolment.enrol),
        (registry.AUTH_DEVICE_REVOKE, by.enrolment.revoke_device),
        (registry.AUTH_ENROLMENT_CREATE, by.enrolment.create),
        (registry.AUTH_ENROLMENT_LIST, by.enrolment.list),
        (registry.AUTH_ENROLMENT_REVOKE, by.enrolment.revoke),
        (registry.AUTH_ACCOUNT_CREATE, by.accounts.create),
        (registry.AUTH_ACCOUNT_LIST, by.accounts.list),
        (registry.AUTH_ACCOUNT_SHOW, by.accounts.show),
        (registry.AUTH_ACCOUNT_SET, by.accounts.set),
        (registry.AUTH_SETTINGS_SET, by.accounts.set_settings),
        (registry.AUTH_AUDIT_LIST, by.accounts.audit),
        (registry.AUTH_AUDIT_PAGE, by.accounts.audit_page),
        (registry.AUTH_KEY_CREATE, by.keys.create),
        (registry.AUTH_KEY_LIST, by.keys.list),
        (registry.AUTH_KEY_ROTATE, by.keys.rotate),
        (registry.AUTH_KEY_REVOKE, by.keys.revoke),
        (registry.AUTH_CLIENT_CREATE, by.clients.create),
        (registry.AUTH_CLIENT_LIST, by.clients.list),
        (registry.AUTH_CLIENT_ROTATE, by.clients.rotate),
        (registry.AUTH_CLIENT_REVOKE, by.clients.revoke),
        (registry.AUTH_SIGNING_LIST, by.clients.list_signing),
        (registry.AUTH_SIGNING_ROTATE, by.clients.rotate_signing),
        (registry.AUTH_USER_CREATE, by.users.create),
        (registry.AUTH_USER_LIST, by.users.list),
        (registry.AUTH_USER_SET, by.users.set),
        (registry.AUTH_USER_SET_PASSWORD, by.users.set_password),
        (registry.AUTH_PASSWORD_CHANGE, by.users.change_password),
        (registry.AUTH_USER_SIGN_OUT, by.users.sign_out),
        (registry.AUTH_USER_CHECK, by.users.check),
        (registry.AUTH_LINK_CREATE, by.users.create_link),
        (registry.AUTH_LINK_USE, by.users.use_link),
    ]
    return [Responder(contract, _refusing(answer, is_item_error), is_surroundings_error) for contract, answer in bound]


def _refusing(answer: Callable[[Any], Awaitable[Any]], is_item_error: ErrorTest) -> Callable[[Any], Awaitable[Any]]:
    """The answer, with Invalid for an id or a number that no row could have."""

    async def answered(request: Any) -> Any:
        try:
            return await answer(request)
        except Exception as error:
            if not is_item_error(error):
                raise
            log.info("the database refused a value", request=type(request).__name__, error=type(error).__name__)
            raise Invalid("A value is not one that could be stored.") from error

    return answered
