"""Reads recipients as people and programs write them (contract: SMSMobileAPI section 1, raw + and spaces)."""

import re
from typing import Final

from shared.errors import Invalid

_FILLERS = str.maketrans("", "", " -.()\t\u00a0")
_INTERNATIONAL = re.compile(r"(?:\+|00)([0-9]{7,15})")
_DIGITS = re.compile(r"[0-9]{1,15}")
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")

_WITHOUT_TRUNK_PREFIX: Final = ("", "1")
"""Regions with one of these prefixes write national numbers as bare digits."""


def parse_recipient(raw: str, region: str | None = None) -> str:
    """The recipient as it is sent: `+` and digits, bare digits, or an alphanumeric name.

    A raw `+` in a query arrives as a leading space, so a leading space before digits means `+`. `region` (ISO 3166)
    is the one whose national numbers become international ones; bare digits that are none of them stay as they are.
    Raises Invalid (`missing_recipients`, `invalid_recipient`).
    """
    if not raw.strip():
        raise Invalid("The recipient is missing.", code="missing_recipients")
    compact = compacted(raw)
    if compact.isascii():
        if match := _INTERNATIONAL.fullmatch(compact):
            return "+" + match[1]
        if _DIGITS.fullmatch(compact):
            return compact if region is None else (_of_nation(compact, region) or compact)
        if _ALPHANUMERIC.fullmatch(raw.strip()):
            return raw.strip()
    raise Invalid("The recipient is not a phone number.", code="invalid_recipient")


def compacted(raw: str) -> str:
    """The text without what people put between digits; a leading space before digits becomes the `+` that it was."""
    plus = raw[:1] == " " and raw.lstrip()[:1].isdigit()
    compact = raw.strip().translate(_FILLERS)
    return "+" + compact if plus and not compact.startswith("00") else compact


def _of_nation(digits: str, region: str) -> str | None:
    """The international form of what is surely a national number of the region, else None.

    Where the region has a trunk prefix (0, as a rule), only digits that begin with it are national: without it they
    may as well begin with a country code.
    """
    # Its tables take 50 ms and 7 MB, which only accounts with a region need.
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if metadata is None:
        return None
    prefix = metadata.national_prefix or ""
    try:
        number = phonenumbers.parse(digits, region, keep_raw_input=True)
    except phonenumbers.NumberParseException:
        return None
    if number.country_code_source != phonenumbers.CountryCodeSource.FROM_DEFAULT_COUNTRY:
        return None
    if prefix in _WITHOUT_TRUNK_PREFIX:
        national = phonenumbers.is_valid_number_for_region(number, region)
    else:
        national = digits.startswith(prefix) and phonenumbers.is_possible_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if national else None
