"""How many exports run at once."""

import pytest

from services.gateway.dashboard.messages.export import MAX_AT_ONCE, MAX_OF_ACCOUNT, Exports
from services.gateway.errors import RateLimited


def test_no_account_keeps_the_others_from_their_exports() -> None:
    exports = Exports()
    ends = [exports.begin(account) for account in range(MAX_AT_ONCE // MAX_OF_ACCOUNT) for _ in range(MAX_OF_ACCOUNT)]
    with pytest.raises(RateLimited):
        exports.begin(99)
    ends[0]()
    with pytest.raises(RateLimited):
        exports.begin(1)
    exports.begin(99)
    with pytest.raises(RateLimited):
        exports.begin(0)
