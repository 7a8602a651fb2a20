"""Draws QR codes that a phone's camera reads from the screen. Pure."""

import re
from typing import Final

import segno
from markupsafe import Markup

BORDER: Final = 4
"""The quiet zone that readers need, in modules (ISO/IEC 18004)."""

_LINES: Final = re.compile(' d="([^"]+)"')


def qr(text: str, label: str) -> Markup:
    """A code of this text as SVG: dark on the white that the style sheet lays below it. `label` is read aloud."""
    code = segno.make(text, error="m", micro=False)
    width, height = code.symbol_size(border=BORDER)
    lines = _LINES.search(code.svg_inline(border=BORDER))
    assert lines is not None
    return Markup(
        '<svg class="qr" viewBox="0 0 {} {}" role="img" aria-label="{}"><path stroke="#000" d="{}"/></svg>'
    ).format(width, height, label, lines[1])
