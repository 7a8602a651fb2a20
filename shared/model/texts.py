"""How a text travels over the radio: its alphabet and its parts (3GPP TS 23.038 section 6.2.1, TS 23.040)."""

import re
from typing import Literal, NamedTuple

Encoding = Literal["gsm7", "ucs2"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")

_PLAIN = re.compile(r"[A-Za-z0-9 \n!\"#$%&'()*+,\-./:;<=>?@_]*").fullmatch
"""Most texts: characters that ASCII and the basic alphabet share."""

GSM7_SINGLE, GSM7_PART = 160, 153
UCS2_SINGLE, UCS2_PART = 70, 67


class Segments(NamedTuple):
    """The encoding of a text and the number of parts (at least 1) that it is sent in."""

    encoding: Encoding
    parts: int


def segments(text: str) -> Segments:
    """Encoding and number of parts of a text; extension characters count two septets, pairs are kept together."""
    if len(text) <= GSM7_SINGLE and _PLAIN(text):
        return Segments("gsm7", 1)
    characters = set(text)
    if characters <= _BASIC:
        return Segments("gsm7", _parts_of_equal(len(text), GSM7_SINGLE, GSM7_PART))
    if characters <= _BASIC | _EXTENSION:
        widths = [2 if character in _EXTENSION else 1 for character in text]
        return Segments("gsm7", _parts(widths, GSM7_SINGLE, GSM7_PART))
    widths = [2 if ord(character) > 0xFFFF else 1 for character in text]
    return Segments("ucs2", _parts(widths, UCS2_SINGLE, UCS2_PART))


def _parts_of_equal(length: int, single: int, part: int) -> int:
    return 1 if length <= single else -(-length // part)


def _parts(widths: list[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    count, used = 1, 0
    for width in widths:
        if used + width > part:
            count, used = count + 1, 0
        used += width
    return count
