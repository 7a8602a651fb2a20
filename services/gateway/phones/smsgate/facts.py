"""What this server tells the app about itself: intervals, settings and webhooks, the same at every start of the app.

The app asks its user to restart it whenever a pushed setting differs from the one before, and shows a notification for
each webhook that is new. So nothing here may depend on anything but the device and what its owner has set.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

PING_S: Final = 300
"""The app tells its health and pulls once in as many seconds."""

MEMORY_DAYS: Final = 30
"""For how long the app remembers ids: far longer than a message is listed again, so that none is ever sent twice."""

HOOK_TRIES: Final = 15

SIM_NUMBERS: Final = range(1, 4)
"""SIM numbers that the app can be given."""

MIN_PRIORITY: Final = -128
MAX_PRIORITY: Final = 127

KNOWN_RELEASE: Final = (1, 68)
"""The release whose sources were read; older ones are given only the events that they are sure to know."""

_OLD_EVENTS: Final = ("sms:received", "system:ping")
_EVENTS: Final = (*_OLD_EVENTS, "sms:data-received", "mms:received")

_AGENT: Final = re.compile(r"me\.capcom\.smsgateway/(\d{1,4})\.(\d{1,4})")


def settings(signing_key: str, pause_ms: tuple[int, int]) -> Mapping[str, Any]:
    """The settings that the app imports. A limit of its own would hold back texts that no other phone may send.

    `pause_ms`: the least and the most milliseconds between two sends. The app knows whole seconds: never fewer.
    """
    shortest, longest = (math.ceil(each / 1000) for each in pause_ms)
    return {
        "messages": {
            "processing_order": "FIFO",
            "limit_period": "Disabled",
            "log_lifetime_days": MEMORY_DAYS,
            # Also where there is none: the app keeps what it was told before, and takes every null for a change.
            "send_interval_min": shortest,
            "send_interval_max": longest,
        },
        "ping": {"interval_seconds": PING_S},
        "webhooks": {"internet_required": True, "retry_count": HOOK_TRIES, "signing_key": signing_key},
        "gateway": {"notification_channel": "SSE_ONLY"},
    }


def webhooks(url: str, agent: str) -> list[dict[str, str]]:
    """What the app posts to this URL. An event that the release does not know would spoil the whole list."""
    found = _AGENT.match(agent)
    known = found is not None and (int(found[1]), int(found[2])) >= KNOWN_RELEASE
    return [
        {"id": f"smsfleet-{event.replace(':', '-')}", "url": url, "event": event}
        for event in (_EVENTS if known else _OLD_EVENTS)
    ]
