"""Both languages say the same things, and say only what is shown."""

import re
from pathlib import Path

import pytest

from services.gateway.dashboard.frame.languages import FOLDER, LANGUAGES, load, preferred

ROOT = FOLDER.parent
WORDS = load()
ENGLISH = WORDS["en"]
OTHERS = [language for language in LANGUAGES if language != "en"]
SOURCES = [*ROOT.rglob("*.html"), *ROOT.rglob("*.py")]

_PLACEHOLDER = re.compile(r"{(\w+)}")
_TAG = re.compile(r"<[a-zA-Z/!]")


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_the_same_texts(language: str) -> None:
    assert set(WORDS[language]) == set(ENGLISH)


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_has_the_same_placeholders(language: str) -> None:
    for key in ENGLISH:
        wanted, found = (set(_PLACEHOLDER.findall(words.text(key))) for words in (ENGLISH, WORDS[language]))
        assert found == wanted, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_says_something_and_holds_no_markup(language: str) -> None:
    for key in WORDS[language]:
        text = WORDS[language].text(key)
        assert text.strip() == text, key
        assert text, key
        assert not _TAG.search(text), key


def test_french_is_written_as_french_is() -> None:
    for key in WORDS["fr"]:
        text = WORDS["fr"].text(key)
        assert "'" not in text, f"{key}: the apostrophe is ’"
        signs = re.findall(r"(.)[;!?»](?=\s|$)|([ \u00a0]):|«(.)", text)
        assert {mark for found in signs for mark in found if mark} <= {"\u202f"}, f"{key}: a narrow space stands there"


def test_each_text_is_shown_somewhere() -> None:
    everything = "\n".join(path.read_text("utf-8") for path in SOURCES)
    shown = {key for key in ENGLISH if _is_shown(key, everything)}
    assert set(ENGLISH) - shown == set()


def _is_shown(key: str, sources: str) -> bool:
    """By its whole name, without its plural, or by a prefix that the rest is put behind when it is shown."""
    parts = key.split(".")
    names = [key, *([".".join(parts[:-1])] if parts[-1] in ("one", "other") else [])]
    prefixes = [".".join(parts[:count]) for count in range(2, len(parts))]
    made = [f"{prefix}{end}" for prefix in prefixes for end in (".{", '." ', '."', ".' ", ".'")]
    heads = [f"{parts[0]}.{_head(parts[1])}"] if "_" in parts[1] else []
    area = [f'"{parts[0]}." +', f"{parts[0]}.{{"]
    return any(
        each in sources
        for each in (*(f'"{name}"' for name in names), *(f"'{name}'" for name in names), *made, *heads, *area)
    )


def _head(name: str) -> str:
    return name.rpartition("_")[0] + "_"


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "fr", "fr"),
        (None, "fr-CA,en;q=0.8", "fr"),
        (None, "en;q=0.3, fr;q=0.9", "fr"),
        (None, "de, fr;q=0.1", "fr"),
        (None, "de", "en"),
        (None, "fr;q=nonsense, en;q=0.5", "en"),
        (None, "en; q=0.5, fr; q=0.9", "fr"),
        ("fr", "en", "fr"),
        ("xx", "fr", "fr"),
        (None, ",;;=,*" * 500, "en"),
    ],
)
def test_the_language_of_a_browser(cookie: str | None, accepted: str, language: str) -> None:
    assert preferred(cookie, accepted) == language


def test_a_count_picks_its_form(tmp_path: Path) -> None:
    for language, one in (("en", "{count} phone"), ("fr", "{count} téléphone")):
        (tmp_path / language).mkdir()
        (tmp_path / language / "area.toml").write_text(f'[phones]\none = "{one}"\nother = "{one}s"\n')
    words = load(tmp_path)
    assert [words["en"]("area.phones", count=count) for count in (0, 1, 2)] == ["0 phones", "1 phone", "2 phones"]
    assert words["fr"]("area.phones", count=0) == "0 téléphone"
