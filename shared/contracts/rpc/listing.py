"""How API keys, OAuth2 clients and enrolment keys are listed: page by page, or one alone."""

from typing import Literal

import msgspec

Standing = Literal["active", "ended"]
"""Whether something still lets anybody in: `ended` is what was revoked or has expired."""

MAX_LISTED = 100
"""Most that one answer holds."""


class Listing(msgspec.Struct, frozen=True):
    """Those of an account, newest first. `before` leaves out all but what was made before the one of this id.

    `state` leaves out all others; `id` asks for one alone.
    """

    account: int
    before: str | None = None
    limit: int = MAX_LISTED
    state: Standing | None = None
    id: str | None = None
