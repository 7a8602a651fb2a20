"""The people of an account, their failed tries, and the links that sign them in once."""

from dataclasses import dataclass
from typing import NamedTuple

from services.auth.store.changes import changing, recording
from shared.contracts.rpc.audit import Actor
from shared.contracts.rpc.people import Role, SetUser, User
from shared.db.pool import Pool


@dataclass(frozen=True)
class Known:
    """A user with the hash of the password, if there is one."""

    user: User
    password: str | None


@dataclass(frozen=True)
class Slowness:
    """How tries of one login are slowed: after `free` ones each waits twice as long as the one before."""

    free: int = 5
    longest_s: float = 300.0
    forgotten_after_s: float = 3600.0


class Changed(NamedTuple):
    """A user as they are now, and the epoch of the change."""

    user: User
    epoch: int


class Users:
    """The verbs about users."""

    def __init__(self, pool: Pool) -> None:
        """Borrows a connection of this pool for each verb."""
        self._pool = pool

    async def create(
        self, account: int, id_: str, login: str, role: Role, password: str | None, actor: Actor
    ) -> Changed | str:
        """The new user, or why there is none: `not_found` (the account) or `login_taken`."""
        async with changing(self._pool, actor) as change:
            if not await change.connection.fetchval("select exists (select from accounts where id = $1)", account):
                return "not_found"
            row = await change.connection.fetchrow(
                f"""
                insert into users as u (id, account_id, login, role, password) values ($2, $1, $3, $4, $5)
                on conflict (login) do nothing returning {_SHOWN}
                """,
                account,
                id_,
                login,
                role,
                password,
            )
            if row is None:
                return "login_taken"
            return Changed(User(**row), await change.done("user.create", id_, account, login=login, role=role))

    async def list(self, account: int) -> list[User] | None:
        """The account's users in order of creation; None for an unknown account."""
        rows = await self._pool.fetch(
            f"""
            select a.id as known, {_SHOWN} from accounts a left join users u on u.account_id = a.id
            where a.id = $1 order by u.created_at, u.id
            """,
            account,
        )
        shown = [{name: value for name, value in row.items() if name != "known"} for row in rows]
        return [User(**each) for each in shown if each["id"] is not None] if rows else None

    async def set(self, wish: SetUser) -> Changed | str:
        """Changes what is not None, or says why it does not: `not_found` or `last_owner`."""
        async with changing(self._pool, wish.actor) as change:
            # Changes of users wait for each other, so no two owners disable one another at once.
            is_last = await change.connection.fetchval(
                """
                select u.role = 'owner' and u.disabled_at is null and not exists (
                    select from users other where other.account_id = u.account_id and other.id <> u.id
                        and other.role = 'owner' and other.disabled_at is null
                ) from users u where u.id = $2 and u.account_id = $1
                """,
                wish.account,
                wish.id,
            )
            if is_last is None:
                return "not_found"
            if is_last and (wish.disabled or wish.role not in (None, "owner")):
                return "last_owner"
            row = await change.connection.fetchrow(
                f"""
                update users u set role = coalesce($3, role),
                    disabled_at = case when coalesce($4::boolean, disabled_at is not null)
                        then coalesce(disabled_at, now()) end,
                    generation = generation + (coalesce($4::boolean, false) and disabled_at is null)::integer
                where id = $2 and account_id = $1 returning {_SHOWN}
                """,
                wish.account,
                wish.id,
                wish.role,
                wish.disabled,
            )
            assert row is not None
            epoch = await change.done("user.set", wish.id, wish.account, role=wish.role, disabled=wish.disabled)
        return Changed(User(**row), epoch)

    async def set_password(self, account: int, user: str, password: str, actor: Actor) -> int | None:
        """Stores another hash and ends the user's sessions; returns the epoch, None for an unknown user."""
        async with changing(self._pool, actor) as change:
            changed = await change.connection.fetchval(
                """
                update users set password = $3, generation = generation + 1
                where id = $2 and account_id = $1 returning id
                """,
                account,
                user,
                password,
            )
            return await change.done("user.set_password", user, account) if changed else None

    async def change_password(self, user: User, login: bytes, password: str, actor: Actor) -> Changed | None:
        """A user's own other hash; ends their sessions and forgets the tries of their login (its digest)."""
        async with changing(self._pool, actor) as change:
            row = await change.connection.fetchrow(
                f"""
                with forgotten as (delete from sign_in_tries where login = $3)
                update users u set password = $4, generation = generation + 1
                where id = $2 and account_id = $1 and disabled_at is null returning {_SHOWN}
                """,
                user.account,
                user.id,
                login,
                password,
            )
            return Changed(User(**row), await change.done("user.set_password", user.id, user.account)) if row else None

    async def sign_out(self, account: int, user: str, actor: Actor) -> int | None:
        """Ends the user's sessions; returns the epoch, None for an unknown user."""
        async with changing(self._pool, actor) as change:
            changed = await change.connection.fetchval(
                "update users set generation = generation + 1 where id = $2 and account_id = $1 returning id",
                account,
                user,
            )
            return await change.done("user.sign_out", user, account) if changed else None

    async def login_of(self, account: int, user: str) -> str | None:
        """The login of a user of this account."""
        login: str | None = await self._pool.fetchval(
            "select login from users where id = $2 and account_id = $1", account, user
        )
        return login

    async def admit_try(self, login: bytes, slowness: Slowness) -> bool:
        """Counts a try of this login (its digest), before it is judged; False while it has to wait."""
        admitted = await self._pool.fetchval(
            """
            insert into sign_in_tries as t (login, tries, next_at, last_at) values ($1, 1, now(), now())
            on conflict (login) do update set
                tries = case when t.last_at < now() - make_interval(secs => $4) then 1 else t.tries + 1 end,
                next_at = now() + make_interval(secs => case
                    when t.last_at < now() - make_interval(secs => $4) or t.tries + 1 < $2 then 0
                    else least($3, 2 ^ least(t.tries + 1 - $2, 20)) end),
                last_at = now()
            where t.next_at <= now()
            returning tries
            """,
            login,
            slowness.free,
            slowness.longest_s,
            slowness.forgotten_after_s,
        )
        return admitted is not None

    async def known(self, login: str) -> Known | None:
        """The user of this login who may sign in."""
        row = await self._pool.fetchrow(
            f"select u.password as hash, {_SHOWN} from users u where login = $1 and disabled_at is null", login
        )
        if row is None:
            return None
        shown = {name: value for name, value in row.items() if name != "hash"}
        return Known(User(**shown), row["hash"])

    async def signed_in(self, user: User, login: bytes, address: str, better_hash: str | None) -> None:
        """Writes down that somebody signed in, and forgets the tries; `better_hash` replaces an outdated one."""
        async with recording(self._pool, Actor(user.id, address)) as record:
            await record.connection.execute(
                """
                with forgotten as (delete from sign_in_tries where login = $2)
                update users set last_sign_in_at = now(), password = coalesce($3, password) where id = $1
                """,
                user.id,
                login,
                better_hash,
            )
            await record.note("user.sign_in", user.id, user.account, by="password")

    async def create_link(self, account: int, user: str, digest: bytes, lives_s: float, actor: Actor) -> float | None:
        """Stores a link; returns when it expires (Unix seconds), None for a user who may not sign in."""
        async with recording(self._pool, actor) as record:
            expires_at: float | None = await record.connection.fetchval(
                """
                insert into sign_in_links (digest, user_id, expires_at, generation)
                select $3, id, now() + make_interval(secs => $4), generation from users
                where id = $2 and account_id = $1 and disabled_at is null
                returning extract(epoch from expires_at)::float8
                """,
                account,
                user,
                digest,
                lives_s,
            )
            if expires_at is not None:
                await record.note("link.create", user, account)
        return expires_at

    async def use_link(self, digest: bytes, address: str) -> User | None:
        """Spends a link and tells whom it signs in; None for one that is unknown, spent, expired or ended.

        What ends a user's sessions ends the links from before; one of the former version has no generation.
        """
        user: str | None = await self._pool.fetchval("select user_id from sign_in_links where digest = $1", digest)
        if user is None:
            return None
        async with recording(self._pool, Actor(user, address)) as record:
            row = await record.connection.fetchrow(
                f"""
                with spent as (
                    update sign_in_links set used_at = now()
                    where digest = $1 and used_at is null and expires_at > now() returning user_id, generation
                )
                update users u set last_sign_in_at = now() from spent
                where u.id = spent.user_id and u.disabled_at is null
                    and u.generation = coalesce(spent.generation, u.generation)
                returning {_SHOWN}
                """,
                digest,
            )
            if row is None:
                return None
            await record.note("user.sign_in", row["id"], row["account"], by="link")
        return User(**row)


_SHOWN = """u.id, u.account_id as account, u.login, u.role, u.disabled_at is not null as disabled,
    u.password is not null as has_password, extract(epoch from u.created_at)::float8 as created_at,
    extract(epoch from u.last_sign_in_at)::float8 as last_sign_in_at, u.generation"""
