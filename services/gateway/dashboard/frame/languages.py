"""Every word that the dashboard shows, in each of its languages."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "words"
LANGUAGES: Final = {"en": "English", "fr": "Français"}
"""Codes of BCP 47, and what each language calls itself."""

DEFAULT: Final = "en"
COOKIE: Final = "smsfleet_language"


class Words:
    """The texts of one language by key: the file's name, a dot, the key in it."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        """`texts` by key."""
        self.language = language
        self._texts = texts

    def __call__(self, key: str, **values: object) -> str:
        """The text with its {placeholders} filled. With `count`, `key.one` or `key.other`. Raises KeyError."""
        if "count" in values:
            key = f"{key}.{'one' if self._is_one(values['count']) else 'other'}"
        text = self._texts[key]
        return text.format_map(values) if values else text

    def __contains__(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._texts)

    def text(self, key: str) -> str:
        """The text as it is written, placeholders and all. Raises KeyError."""
        return self._texts[key]

    def _is_one(self, count: object) -> bool:
        # French counts nothing as one, too (CLDR plural rules).
        return count == 1 or (self.language == "fr" and count == 0)


def load(folder: Path = FOLDER) -> dict[str, Words]:
    """All languages, from words/<language>/<area>.toml."""
    return {
        language: Words(language, {key: text for path in _files(folder / language) for key, text in _texts(path)})
        for language in LANGUAGES
    }


def preferred(cookie: str | None, accepted: str) -> str:
    """A browser's language: the one that was picked, else the best of `accepted` that we speak (RFC 9110, 12.5.4)."""
    if cookie in LANGUAGES:
        return cookie
    wishes = [wish.partition(";q=")[::2] for wish in accepted[:1000].lower().replace(" ", "").split(",")]
    for name, _ in sorted(wishes, key=lambda wish: _weight(wish[1]), reverse=True):
        if (language := name.partition("-")[0]) in LANGUAGES:
            return language
    return DEFAULT


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))


def _texts(path: Path) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    _flatten(path.stem, tomllib.loads(path.read_text("utf-8")), told)
    return told


def _flatten(prefix: str, table: Mapping[str, object], told: list[tuple[str, str]]) -> None:
    for name, value in table.items():
        if isinstance(value, Mapping):
            _flatten(f"{prefix}.{name}", value, told)
        else:
            told.append((f"{prefix}.{name}", str(value)))
