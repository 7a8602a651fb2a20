"""Makes credentials and keeps only their hashes; derives one key per purpose from the installation's secret."""

import hashlib
import hmac
import secrets


def new_api_key() -> str:
    """48 lower-case hex characters, as the commercial service's keys look (contract: SMSMobileAPI 1.1)."""
    return secrets.token_hex(24)


def new_token() -> str:
    """64 lower-case hex characters: client secrets, enrolment keys, device tokens, sign-in links."""
    return secrets.token_hex(32)


def new_client_id() -> str:
    """32 lower-case hex characters, as the commercial service's client ids look (contract: SMSMobileAPI 1.1)."""
    return secrets.token_hex(16)


def digest(credential: str) -> bytes:
    """What is stored of a random credential: its SHA-256 (32 bytes). Not for passwords."""
    return hashlib.sha256(credential.encode(errors="surrogatepass")).digest()


def derive_key(secret: str, purpose: str) -> bytes:
    """A 32-byte key for one purpose from the installation's secret, so that no key serves two ends."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")
