"""Signs what goes to receivers, so that they can tell our requests from anybody else's. Pure: chance comes in."""

import base64
import hashlib
import hmac
import secrets as chance
from collections.abc import Sequence
from typing import Final

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A secret as Standard Webhooks writes it: `whsec_` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(chance.token_bytes(_SECRET_BYTES)).decode()


def sign(secrets: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` (Standard Webhooks 1.0): one `v1,` entry for each secret, separated by spaces.

    `timestamp` is in Unix seconds and the same as in `webhook-timestamp`. Without a secret the text is empty.
    """
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode() for secret in secrets
    )


def v2_headers(secrets: Sequence[str], event_id: str, type: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a V2 request (contract: SMSMobileAPI section 4); `timestamp` is in Unix seconds.

    That form has room for one signature: it is made with the first secret, which is the newest. Without a secret there
    is none.
    """
    headers = {
        "X-SMSMobileAPI-Event": type,
        "X-SMSMobileAPI-Event-ID": event_id,
        "X-SMSMobileAPI-Timestamp": str(timestamp),
        "Idempotency-Key": event_id,
    }
    if secrets:
        # The commercial service takes the secret's text as it stands, prefix and all.
        digest = hmac.digest(secrets[0].encode(), b"%d.%b" % (timestamp, body), hashlib.sha256)
        headers["X-SMSMobileAPI-Signature"] = "v1=" + digest.hex()
    return headers


def _key(secret: str) -> bytes:
    """A secret that its owner chose without our prefix, such as one of the commercial service, is its own key."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(_PREFIX))
