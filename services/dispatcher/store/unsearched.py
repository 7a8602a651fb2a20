"""Notes of what the search does not know yet, written by the very statements that change what people look for."""

from typing import Final

MESSAGES: Final = "message_ids"
INBOX: Final = "inbox_ids"


def unsearched(source: str, column: str = "message_id", kind: str = MESSAGES) -> str:
    """A CTE that notes the ids in this column of `source`: one row for all of them, none for none.

    A note is committed with its change, so whoever sees the note sees the change, and no crash parts them.
    """
    return f"""noted_for_search as (
    insert into unsearched ({kind}) select array_agg({column}) from {source} having count(*) > 0
)"""
