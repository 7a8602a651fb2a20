"""The rules for logins and passwords. Pure, but for the list of common passwords beside it."""

import functools
import unicodedata
from pathlib import Path
from typing import Final

from services.auth.keys import MAX_NAME_CHARS
from shared.errors import Invalid
from shared.model.storable import is_storable

MIN_CHARS: Final = 12
MAX_BYTES: Final = 1024
"""Longer ones would only cost time."""

MAX_LOGIN_CHARS: Final = 254
"""As long as a mail address can be (RFC 5321, 4.5.3.1.3)."""

_COMMON = Path(__file__).parent / "common_passwords.txt"


def checked_login(login: str) -> str:
    """The login in lower case: it looks like name@host. Raises Invalid (`invalid_login`)."""
    plain = normal_login(login)
    name, _, host = plain.partition("@")
    printable = plain.isprintable() and is_storable(plain) and not any(letter.isspace() for letter in plain)
    if not printable or len(plain) > MAX_LOGIN_CHARS or not 1 <= len(name) <= MAX_NAME_CHARS or not host or "@" in host:
        raise Invalid("A login looks like a mail address: name@example.org.", code="invalid_login")
    return plain


def normal_login(login: str) -> str:
    """The login as it is stored and looked up."""
    return unicodedata.normalize("NFKC", login.strip()).lower()


def checked_password(password: str, login: str) -> str:
    """The password as it is hashed. Raises Invalid (`invalid_password`) with the rule that it breaks."""
    plain = normal_password(password)
    if len(plain) < MIN_CHARS:
        raise Invalid(f"A password has at least {MIN_CHARS} characters.", code="invalid_password")
    if len(plain.encode(errors="surrogatepass")) > MAX_BYTES:
        raise Invalid(f"A password has at most {MAX_BYTES} bytes.", code="invalid_password")
    folded = plain.casefold()
    if folded in _common() or len(set(folded)) < 3:
        raise Invalid("The password is one that many people use; take another.", code="invalid_password")
    if login.partition("@")[0] in (folded, folded[::-1]) or folded == login:
        raise Invalid("The password must not be the login.", code="invalid_password")
    return plain


def normal_password(password: str) -> str:
    """The same text however it was typed (RFC 8265, 4.2)."""
    return unicodedata.normalize("NFKC", password)


@functools.cache
def _common() -> frozenset[str]:
    return frozenset(_COMMON.read_text().casefold().split())
