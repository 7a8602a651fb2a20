"""How long the app waits before it tries again; each schedule is a pure function of the failed tries so far."""

from agent.smsgate import facts


def background_s(failures: int) -> float:
    """Seconds before background work (pull, lists, reports, registration) is tried again; `failures` from 1."""
    # The exponent is bounded before the power, which would be a number of thousands of digits after days.
    return min(facts.RETRY_CAP_S, facts.RETRY_BASE_S * 2.0 ** min(failures - 1, 32))


def reconnect_s(failures: int) -> float:
    """Seconds before the event channel is opened again; `failures` in a row from 1. No jitter."""
    steps = facts.RECONNECT_S
    return steps[failures - 1] if failures <= len(steps) else facts.RECONNECT_AT_LAST_S


def webhook_s(failures: int) -> float:
    """Seconds before a webhook is called again; `failures` from 1."""
    return facts.HOOK_RETRY_BASE_S * 2.0 ** min(failures, 32)
