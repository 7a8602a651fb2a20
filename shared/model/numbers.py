"""Reads recipients as people and programs write them (contract: SMSMobileAPI section 1, raw + and spaces)."""

import re

from shared.errors import Invalid

_FILLERS = str.maketrans("", "", " -.()\t\u00a0")
_INTERNATIONAL = re.compile(r"(?:\+|00)([0-9]{7,15})")
_DIGITS = re.compile(r"[0-9]{1,15}")
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


def parse_recipient(raw: str) -> str:
    """The recipient as it is sent: `+` and digits, bare digits, or an alphanumeric name.

    A raw `+` in a query arrives as a leading space, so a leading space before digits means `+`.
    Raises Invalid (`missing_recipients`, `invalid_recipient`).
    """
    if not raw.strip():
        raise Invalid("The recipient is missing.", code="missing_recipients")
    plus = raw[:1] == " " and raw.lstrip()[:1].isdigit()
    compact = raw.strip().translate(_FILLERS)
    if compact.isascii():
        if plus and not compact.startswith("00"):
            compact = "+" + compact
        if match := _INTERNATIONAL.fullmatch(compact):
            return "+" + match[1]
        if _DIGITS.fullmatch(compact):
            return compact
        if _ALPHANUMERIC.fullmatch(raw.strip()):
            return raw.strip()
    raise Invalid("The recipient is not a phone number.", code="invalid_recipient")
