"""Questions about people: who they are, and whether they may sign in."""

import structlog

from services.auth.directory import Directory
from services.auth.hashing import Hashing
from services.auth.keys import new_id
from services.auth.passwords import (
    MAX_BYTES,
    MAX_LOGIN_CHARS,
    checked_login,
    checked_password,
    normal_login,
    normal_password,
)
from services.auth.store.users import Changed, Slowness
from services.auth.store.users import Users as UserStore
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.people import (
    ChangePassword,
    CheckUser,
    CreateLink,
    CreateUser,
    LinkCreated,
    ListUsers,
    SetPassword,
    SetUser,
    SignOutUser,
    UseLink,
    User,
    Users,
)
from shared.errors import Conflict, Forbidden, NotFound
from shared.model.storable import is_storable
from shared.security.secrets import digest, new_token

log = structlog.get_logger()

LINK_LIVES_S = 600.0
"""How long a sign-in link is good, in seconds."""


class UserAnswers:
    """One method a question."""

    def __init__(self, users: UserStore, directory: Directory, hashing: Hashing, slowness: Slowness) -> None:
        """`directory` makes a change known; `slowness` says how failed tries are slowed."""
        self._users = users
        self._directory = directory
        self._hashing = hashing
        self._slowness = slowness

    async def create(self, request: CreateUser) -> User:
        """A new user. Raises Invalid, NotFound for an unknown account, Conflict (`login_taken`), Unavailable."""
        login = checked_login(request.login)
        stored = None
        if request.password is not None:
            stored = await self._hashing.hash(checked_password(request.password, login))
        made = await self._users.create(request.account, new_id("usr"), login, request.role, stored, request.actor)
        if made == "not_found":
            raise NotFound("There is no such account.")
        if not isinstance(made, Changed):
            raise Conflict(f"There is a user {login} already.", code="login_taken")
        await self._directory.changed(made.epoch)
        log.info("user created", account=request.account, user=made.user.id)
        return made.user

    async def list(self, request: ListUsers) -> Users:
        """The account's users. Raises NotFound for an unknown account."""
        users = await self._users.list(request.account)
        if users is None:
            raise NotFound("There is no such account.")
        return Users(users)

    async def set(self, request: SetUser) -> User:
        """Changes a role, disables or enables. Raises NotFound, Conflict (`last_owner`)."""
        changed = await self._users.set(request)
        if changed == "not_found":
            raise NotFound("There is no such user in this account.")
        if not isinstance(changed, Changed):
            raise Conflict("The account must keep an owner who can sign in.", code="last_owner")
        await self._directory.changed(changed.epoch)
        log.info("user changed", account=request.account, user=request.id)
        return changed.user

    async def set_password(self, request: SetPassword) -> Done:
        """Another password, and the end of the user's sessions.

        Raises Invalid (`invalid_password`), NotFound, Unavailable.
        """
        login = await self._users.login_of(request.account, request.id)
        if login is None:
            raise NotFound("There is no such user in this account.")
        stored = await self._hashing.hash(checked_password(request.password, login))
        epoch = await self._users.set_password(request.account, request.id, stored, request.actor)
        if epoch is None:
            raise NotFound("There is no such user in this account.")
        await self._directory.changed(epoch)
        log.info("password set", account=request.account, user=request.id)
        return Done()

    async def change_password(self, request: ChangePassword) -> User:
        """A user's own new password, and the end of their sessions; the user after that.

        Raises Forbidden for a wrong present one, Conflict (`slow_down`), Invalid (`invalid_password`), NotFound,
        Unavailable.
        """
        login = await self._users.login_of(request.account, request.id)
        known = await self._users.known(login) if login is not None else None
        if login is None or known is None:
            raise NotFound("There is no such user in this account, or the user is disabled.")
        password, tried = checked_password(request.password, login), digest(login)
        if known.password is not None:
            if not await self._users.admit_try(tried, self._slowness):
                raise Conflict("There were too many tries; wait a little.", code="slow_down")
            present = normal_password(request.present[: MAX_BYTES + 1])
            if not (await self._hashing.check(known.password, present)).right:
                log.info("password not changed", user=request.id)
                raise Forbidden("The present password is not right.")
        stored = await self._hashing.hash(password)
        changed = await self._users.change_password(known.user, tried, stored, request.actor)
        if changed is None:
            raise NotFound("There is no such user in this account.")
        await self._directory.changed(changed.epoch)
        log.info("password changed", account=request.account, user=request.id)
        return changed.user

    async def sign_out(self, request: SignOutUser) -> Done:
        """Ends the user's sessions. Raises NotFound."""
        epoch = await self._users.sign_out(request.account, request.id, request.actor)
        if epoch is None:
            raise NotFound("There is no such user in this account.")
        await self._directory.changed(epoch)
        log.info("signed out everywhere", account=request.account, user=request.id)
        return Done()

    async def check(self, request: CheckUser) -> User:
        """Who signs in. Raises Forbidden, which says nothing more, Conflict (`slow_down`), Unavailable.

        A try is counted before it is judged, so that many at once count as many.
        """
        # Nobody has a longer one, and nobody's contains what cannot be stored.
        login = normal_login(request.login[: MAX_LOGIN_CHARS + 1])
        password = normal_password(request.password[: MAX_BYTES + 1])
        tried = digest(login)
        if not await self._users.admit_try(tried, self._slowness):
            raise Conflict("There were too many tries; wait a little.", code="slow_down")
        known = await self._users.known(login) if is_storable(login) else None
        checked = await self._hashing.check(known.password if known else None, password)
        if known is None or not checked.right:
            log.info("sign-in refused", user=known.user.id if known else None)
            raise Forbidden("The login or the password is not right.")
        await self._users.signed_in(known.user, tried, request.address, checked.better_hash)
        log.info("signed in", account=known.user.account, user=known.user.id)
        return known.user

    async def create_link(self, request: CreateLink) -> LinkCreated:
        """A link for a user who may sign in. Raises NotFound."""
        token = new_token()
        expires_at = await self._users.create_link(
            request.account, request.id, digest(token), LINK_LIVES_S, request.actor
        )
        if expires_at is None:
            raise NotFound("There is no such user in this account, or the user is disabled.")
        log.info("link created", account=request.account, user=request.id)
        return LinkCreated(token=token, expires_at=expires_at)

    async def use_link(self, request: UseLink) -> User:
        """Who signs in by this link. Raises Forbidden."""
        user = await self._users.use_link(request.digest, request.address)
        if user is None:
            raise Forbidden("The link is not valid any more.")
        log.info("signed in", account=user.account, user=user.id)
        return user
