"""What went wrong with a webhook, in the words of each language."""

import re
from pathlib import Path
from typing import Final

import pytest

from services.gateway.dashboard.frame.languages import load
from services.gateway.dashboard.webhooks.health import Failure, failure
from services.webhooks import client, delivery

WRITTEN: Final = re.compile(r'error(?:, detail)? ?= ?"([a-z_]+)"')


@pytest.mark.parametrize(
    ("told", "kind", "detail"),
    [
        ("status: It answered HTTP 500.", "status", "It answered HTTP 500."),
        ("tls: a: b", "tls", "a: b"),
        ("dns: Its name cannot be looked up.", "dns", ""),
        ("gone", "gone", ""),
        ("It cannot be reached: refused.", "", "It cannot be reached: refused."),
        ("Refused", "", "Refused"),
        ("", "", ""),
    ],
)
def test_a_failure_is_its_class_and_what_is_known_of_it(told: str, kind: str, detail: str) -> None:
    assert failure(told) == Failure(kind, detail)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_class_that_is_written_down_has_its_sentence(language: str) -> None:
    source = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (client, delivery))
    kinds = set(WRITTEN.findall(source))
    assert {"dns", "redirect", "status", "secret"} <= kinds
    words = load()[language]
    assert [kind for kind in sorted(kinds) if f"webhooks.class.{kind}" not in words] == []
