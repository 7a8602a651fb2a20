"""Many keys, OAuth2 clients and enrolment keys of an account, as years leave them."""

from typing import NamedTuple

from shared.db.pool import Pool

MANY = 250


class Stock(NamedTuple):
    """A kind of credentials: where its rows are, how many of them are made, and how they are found newest first."""

    table: str
    made: str

    async def fill(self, pool: Pool, account: int, *, ended: bool = False, count: int = MANY) -> None:
        """Stores so many, ten at a time; half of the ended ones are revoked, the others have expired."""
        await pool.execute(self.made, account, ended, count)

    async def ids(self, pool: Pool, account: int, *, ended: bool) -> list[str]:
        """Those of an account, the newest first."""
        rows = await pool.fetch(
            f"""
            select id from {self.table}
            where account_id = $1 and (revoked_at is not null or coalesce(expires_at <= now(), false)) = $2
            order by created_at desc, id desc
            """,
            account,
            ended,
        )
        return [row["id"] for row in rows]


_TIMES = """
    now() - interval '90 days' - interval '1 minute' * (n / 10),
    case when $2 and n % 2 = 0 then now() - interval '1 day' end,
    case when $2 and n % 2 = 1 then now() - interval '1 day' end
    from generate_series(1, $3::int) as n
"""

KEYS = Stock(
    "api_keys",
    f"""
    insert into api_keys (id, account_id, name, digest, prefix, scopes, created_at, expires_at, revoked_at)
    select format('key_%s_%s_%s', $1::bigint, $2::boolean, n), $1, 'many',
        sha256(convert_to(format('%s %s %s', $1, $2, n), 'utf8')), 'abcdef', '{{sms:send}}', {_TIMES}
    """,
)
CLIENTS = Stock(
    "clients",
    f"""
    insert into clients (id, account_id, name, digest, scopes, created_at, expires_at, revoked_at)
    select md5(format('%s %s %s', $1::bigint, $2::boolean, n)), $1, 'many', '', '{{sms:send}}', {_TIMES}
    """,
)
ENROLMENT = Stock(
    "enrolment_keys",
    f"""
    insert into enrolment_keys (id, account_id, digest, single_use, approves, created_at, expires_at, revoked_at)
    select format('enr_%s_%s_%s', $1::bigint, $2::boolean, n), $1,
        sha256(convert_to(format('%s %s %s', $1, $2, n), 'utf8')), true, false, {_TIMES}
    """,
)
