"""CSV that every reader reads back as it was meant, and no spreadsheet program calculates with."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.dashboard.messages.sheets import BOM, COLUMNS, harmless, head, lines

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=5), max_size=5))
def test_what_is_written_is_read_back(rows: list[list[str]]) -> None:
    written = lines(rows).decode()
    assert list(csv.reader(io.StringIO(written, newline=""), strict=True)) == rows


@given(CELLS)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    made = harmless(text)
    assert not made.lstrip().startswith(tuple("=+-@＝＋－＠"))
    assert not made.startswith(tuple("\t\r\n"))
    assert made in (text, f"'{text}")


@pytest.mark.parametrize(
    ("text", "made"),
    [("=1", "'=1"), ("+336", "'+336"), ("-", "'-"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx"), ("\nx", "'\nx"),
     (" =1", "' =1"), ("\u3000@x", "'\u3000@x"), ("＝1", "'＝1"), ("＋1", "'＋1"), ("－1", "'－1"), ("＠x", "'＠x"),
     ("'=1", "'=1"), ("", ""), (None, ""), (" ", " "), ("a=1", "a=1")],
)  # fmt: skip
def test_what_is_put_behind_an_apostrophe(text: str | None, made: str) -> None:
    assert harmless(text) == made


def test_a_file_begins_with_its_encoding_and_its_columns() -> None:
    assert head() == BOM + ",".join(COLUMNS).encode() + b"\r\n"
    assert lines([("a\nb", 'c"', "d,e", None, 3)]) == b'"a\nb","c""","d,e",,3\r\n'
