"""The statements that look for messages: walks along indexes, and the lookup of a text, each with a bound.

Their arguments are the same: account, first id and id behind the last, most rows, then what is wanted (message, state,
device, number, pattern of digits, pattern of the text), and the bound.
"""

from typing import Final

from services.gateway.dashboard.store.filters import Filter
from services.gateway.store import SENT_COLUMNS
from shared.db.seen import SEEN

MOST_NUMBERS: Final = 50
"""Digits that more numbers have are common: walking from the newest on finds them."""


def walk(wanted: Filter, *, by_digits: bool, newest_first: bool) -> str:
    """Walks every kind that is wanted at once, each along its own index, and goes by the one that came furthest.

    `by_digits`: by the numbers that have the wanted digits alone, where these are few.
    """
    order, back = ("desc", "asc") if newest_first else ("asc", "desc")
    number = wanted.number
    asked = (
        (_BY_MESSAGE, wanted.message),
        (_BY_STATE, wanted.state),
        (_BY_DEVICE, wanted.device),
        (_BY_NUMBER, number and number.digits is None),
    )
    kinds = [kind for kind, wish in asked if wish] or [_BY_ID]
    numbers, usable, unless = "", "true", "true"
    if by_digits and number is not None and number.digits is not None:
        numbers = f"numbers as materialized ({_NUMBERS}), few as materialized ({_FEW}), "
        usable = f"(kind = {len(kinds)}) = (select few from few)"
        unless = "not (select few from few)"
        kinds.append(_BY_DIGITS)
    walks = "\n    union all\n".join(
        f"    (select {nth} as kind, id, fits from ({kind.format(order=order, unless=unless)}) k)"
        for nth, kind in enumerate(kinds)
    )
    return f"""
with {numbers}walked as materialized (
{walks}
), chosen as (
    select kind, (select count(*) from walked where kind = k.kind) < $11::int as whole,
        (select id from walked where kind = k.kind order by id {back} limit 1) as edge
    from generate_series(0, {len(kinds) - 1}) as k (kind)
    where {usable}
    order by whole desc, edge {back} limit 1
)
{_shown("select id from walked where kind = chosen.kind and fits", order)}
"""


def hits(*, newest_first: bool) -> str:
    """Looks the text up; no row at all where more messages than the bound have it."""
    return f"""
with hits as materialized (
    select message_id as id from search_texts where account_id = $1 and text ilike $10 and {_IN_RANGE}
), few as materialized (
    select id from hits limit $11 + 1
), chosen as (
    select true as whole, null::bytea as edge from few having count(*) <= $11
)
{_shown("select id from few", "desc" if newest_first else "asc")}
"""


_IN_RANGE = "message_id >= $2 and message_id < $3"
_IN_PLACE = f"{_IN_RANGE} and place >= $2 and place < $3"
_HAS_TEXT = "($10::text is null or text ilike $10)"
_HAS_NUMBER = "($8::text is null and $9::text is null or recipient = $8 or recipient like $9)"

# `fits` is as much of what is wanted as can be seen on the way.
_BY_ID = f"""
select id, {_HAS_TEXT} and {_HAS_NUMBER} as fits from (
    select id, text, recipient from messages where {{unless}} and account_id = $1 and id >= $2 and id < $3
    order by id {{order}} limit $11
) m
"""

_BY_MESSAGE = "select $5::bytea as id, true as fits where {unless} and $5 >= $2 and $5 < $3"

_BY_STATE = f"""
select message_id as id, $7::text is null or device_id = $7 as fits from search_states
where {{unless}} and account_id = $1 and state = $6 and {_IN_PLACE} order by place {{order}} limit $11
"""

_BY_DEVICE = f"""
select message_id as id, $6::text is null or state = $6 as fits from search_states
where {{unless}} and account_id = $1 and device_id = $7 and {_IN_PLACE} order by place {{order}} limit $11
"""

_BY_NUMBER = f"""
select message_id as id, {_HAS_TEXT} as fits from search_texts
where {{unless}} and account_id = $1 and recipient = $8 and {_IN_RANGE} order by message_id {{order}} limit $11
"""

_NUMBERS = f"""
select $8::text as number where $8 is not null
union
(select number from search_numbers where account_id = $1 and number like $9 limit {MOST_NUMBERS + 1})
"""

_FEW = f"select count(*) <= {MOST_NUMBERS} as few from numbers"

_BY_DIGITS = f"""
select id, fits from (select number from numbers where (select few from few)) n cross join lateral (
    select message_id as id, {_HAS_TEXT} as fits from search_texts
    where account_id = $1 and recipient = n.number and {_IN_RANGE} order by message_id {{order}} limit $11
) t
order by id {{order}} limit $11
"""

# Every argument stands here, so that all of them have their types in every statement. The limits of 1 have each message
# looked up by its id, in its own week.
_LIVE = f"""
m.account_id = $1 and m.deleted_at is null
    and ($5::bytea is null or m.id = $5)
    and ($6::text is null or {SEEN} = $6)
    and ($7::text is null or coalesce(m.device_id, m.wanted_device_id) = $7)
    and ($8::text is null and $9::text is null or m.recipient = $8 or m.recipient like $9)
    and ($10::text is null or m.text ilike $10)
    and $2::bytea is not null and $3::bytea is not null and $11::int is not null
"""


def _shown(ids: str, order: str) -> str:
    """The rows of these ids that are as wanted now, beside `chosen (whole, edge)`, which is there without any too."""
    return f"""select chosen.whole, chosen.edge, found.*
from chosen left join lateral (
    select {SENT_COLUMNS}, {SEEN} as seen, m.sent_at, m.delivered_at, m.ended_at, m.attempt
    from ({ids} order by id {order}) c
    cross join lateral (select * from messages where id = c.id limit 1) m
    left join lateral (select * from work where message_id = c.id limit 1) w on true
    where {_LIVE}
    order by c.id {order} limit $4
) found on true
order by found.id {order}"""
