"""What all chaos runs share."""

import pytest

from tests.support import scale


@pytest.fixture(scope="session")
def seed() -> int:
    """Where all random moments come from; every run prints it."""
    return scale.seed()
