"""The app's numbers and words in one place, so that a newer release of the app is a change of this page only.

A section number names the part of the app's protocol notes that a line was taken from. What they leave open stands
under "Not told": those values are Android's or ours.
"""

from typing import Final, Literal

VERSION: Final = "1.68.0"
REST_AGENT: Final = f"me.capcom.smsgateway/{VERSION}"  # 1.1: REST and webhooks
SSE_AGENT: Final = "okhttp/4.12.0"  # 1.1: the channel has the HTTP library's own name

# -- States (1.5) ----------------------------------------------------------------------------------------------------

State = Literal["Pending", "Processed", "Sent", "Delivered", "Failed", "Cancelled"]
"""What the phone says of a recipient and of a message."""

MOVES: Final[dict[State, frozenset[State]]] = {
    "Pending": frozenset({"Processed", "Failed", "Cancelled"}),
    "Processed": frozenset({"Sent", "Delivered", "Failed"}),
    "Sent": frozenset({"Delivered", "Failed"}),
    "Delivered": frozenset(),
    "Failed": frozenset(),
    "Cancelled": frozenset(),
}

# -- Words of failures (1.4, 1.5) ------------------------------------------------------------------------------------

TTL_EXPIRED: Final = "TTL expired"
NO_SIMS: Final = "No SIMs found"
UNDECIPHERED: Final = "Can't send message: the message is encrypted and there is no passphrase"
SEND_RESULT: Final = "Send result: "
DELIVERY_RESULT: Final = "Delivery result: "
SEND_THREW: Final = "sendSMS: "

# -- Work in the background (1.3, 1.8) -------------------------------------------------------------------------------

RETRY_BASE_S: Final = 10.0  # exponential, whatever the failure was
PULL_EVERY_S: Final = 15 * 60.0
HOOKS_EVERY_S: Final = 24 * 3600.0
SETTINGS_EVERY_S: Final = 24 * 3600.0
REPORT_RETRIES: Final = 10  # then the report is dropped

# -- The event channel (1.6) -----------------------------------------------------------------------------------------

RECONNECT_S: Final = (5.0,) * 5 + (30.0,) * 5
RECONNECT_AT_LAST_S: Final = 60.0
SSE_SILENCE_S: Final = 3600.0
UNNAMED_EVENT: Final = "MessageEnqueued"

# -- Webhooks (1.8, 1.9) ---------------------------------------------------------------------------------------------

HOOK_TRIES: Final = 15
HOOK_RETRY_BASE_S: Final = 5.0  # 5 s·2^n after the n-th failed try
HOOK_TOTAL_S: Final = 30.0
HOOK_SOCKET_S: Final = 5.0  # to connect, and between two reads
HookEvent = Literal[
    "sms:received", "sms:data-received", "mms:received", "mms:downloaded",
    "sms:sent", "sms:delivered", "sms:failed", "sms:cancelled", "system:ping", "app:started",
]  # fmt: skip
"""What this release knows; any other word in the list of webhooks spoils the whole list."""

# -- Settings (1.10) -------------------------------------------------------------------------------------------------

LIMIT_PERIOD_S: Final = {"PerMinute": 60, "Per30Minutes": 1800, "PerHour": 3600, "PerDay": 86_400}

# -- A message (1.4) -------------------------------------------------------------------------------------------------

KEPT_IN_NUMBERS: Final = frozenset("0123456789+*#")
SHOWN_OF_NUMBERS: Final = 4  # 1.2: the last characters of a SIM's number, carrier and card id

# -- Not told --------------------------------------------------------------------------------------------------------

RETRY_CAP_S: Final = 5 * 3600.0  # WorkRequest.MAX_BACKOFF_MILLIS of Android's WorkManager
REST_SOCKET_S: Final = 10.0  # the HTTP library's defaults for connecting and reading
REST_TOTAL_S: Final = 30.0
REPORTS_AT_ONCE: Final = 4
HOOKS_AT_ONCE: Final = 4
EXPORT_AT_ONCE: Final = 500
FORGET_EVERY_S: Final = 24 * 3600.0
