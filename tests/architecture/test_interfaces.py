"""docs/interfaces.md is what scripts rely on: it names exactly what the code has, in both directions."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from services.__main__ import _parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "interfaces.md").read_text()


def commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every full command of the tree, such as `smsfleet phone list`."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser.prog
    for group in groups:
        for child in group.choices.values():
            yield from commands(child)


def sources(*packages: str) -> Iterator[str]:
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            yield path.read_text()


def test_make_targets() -> None:
    made = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert made == set(re.findall(r"^\| `make ([a-z-]+)`", PAGE, re.MULTILINE))


def test_commands() -> None:
    assert set(commands(_parser())) == set(re.findall(r"^\| `(smsfleet [a-z -]+)`", PAGE, re.MULTILINE))


def test_every_command_takes_json() -> None:
    def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not groups:
            yield parser
        for group in groups:
            for child in group.choices.values():
                yield from leaves(child)

    assert [leaf.prog for leaf in leaves(_parser()) if "--json" not in leaf.format_help()] == []


def test_settings() -> None:
    listed = set(re.findall(r"^\| `(SMSFLEET_[A-Z0-9_]+)`", PAGE, re.MULTILINE))
    literal = {name for text in sources("services", "shared", "agent", "deploy") for name in _named(text)}
    fields = {f"SMSFLEET_{field.upper()}" for field in _fields()}
    assert fields <= listed
    assert literal <= listed


def _named(text: str) -> set[str]:
    found = re.findall(r"SMSFLEET_[A-Z][A-Z0-9_]*[A-Z]", text)
    return {name for name in found if not name.startswith("SMSFLEET_TEST_")}


def _fields() -> set[str]:
    from services.auth.settings import AuthSettings
    from services.dispatcher.settings import DispatcherSettings
    from services.gateway.settings import GatewaySettings
    from services.webhooks.settings import WebhooksSettings

    kinds = (AuthSettings, DispatcherSettings, GatewaySettings, WebhooksSettings)
    return {field for kind in kinds for field in kind.__struct_fields__}
