"""Says in the visitor's language what a service has refused."""

from services.gateway.dashboard.frame.languages import Words
from shared.errors import SmsFleetError


def sentence(words: Words, prefix: str, error: SmsFleetError) -> str:
    """The sentence for the error's code behind this prefix, else that of all areas, else the service's in English."""
    for key in (f"{prefix}{error.code}", f"errors.{error.code}.text"):
        if key in words:
            return words(key)
    return str(error)
