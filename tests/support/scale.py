"""How much a test run is worth: SMSFLEET_TEST_SCALE is read here and nowhere else."""

import os
import secrets


def scaled(*, small: int, one: int, full: int) -> int:
    """The count for this run: `make test-more` runs small ones, `make test` ones, `make test-all` full ones."""
    counts = {"small": small, "one": one, "full": full}
    scale = os.environ.get("SMSFLEET_TEST_SCALE", "one")
    if scale not in counts:
        raise ValueError(f"SMSFLEET_TEST_SCALE={scale} is not one of {', '.join(counts)}")
    return counts[scale]


def kill_rounds() -> int:
    """How often each service is killed in this run."""
    return scaled(small=1, one=1, full=3)


def seed() -> int:
    """What the run's random moments come from; SMSFLEET_TEST_SEED repeats one."""
    given = os.environ.get("SMSFLEET_TEST_SEED")
    return int(given) if given else secrets.randbelow(1_000_000)
