"""A running system tells Prometheus everything that dashboard, alerts and page speak of, and nothing about anybody."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deploy.local.paths import PROJECT
from shared.contracts import registry
from shared.contracts.rpc.messages import FLAG_KINDS
from tests.support.http import ask
from tests.support.metrics import Scrape, named, scraped
from tests.support.receiver import Receiver
from tests.support.system import System
from tests.support.waiting import until

TEXT, RECEIVED = "metrics must not say this", "nor that"
NUMBER, SENDER = "+15557654321", "+15557651234"
STRANGE_ID = "0123456789abcdef0123456789abcdef01234567"

MIN_SECRET_CHARS = 8
"""What is shorter, among the credentials, is no secret."""

SERVICES = {"gateway", "dispatcher", "webhooks", "auth"}
DASHBOARD = PROJECT / "deploy" / "grafana" / "smsfleet.json"
RULES = PROJECT / "deploy" / "prometheus" / "rules.yml"
PAGE = PROJECT / "docs" / "operations" / "metrics.md"


def one_of(*values: str) -> Callable[[str], bool]:
    return frozenset(values).__contains__


def like(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


ALLOWED: dict[str, Callable[[str], bool]] = {
    "route": like(r"other|(/([a-z][a-z0-9_.-]*|\{[a-z_]+\}))+|/"),
    "method": one_of("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "other"),
    "status": like(r"[1-5]xx|none"),
    "rpc": one_of(*registry.contracts()),
    "subject": one_of(*(subject for stream in registry.STREAMS for subject in stream.subjects)),
    "durable": one_of(*(durable.name for durable in registry.DURABLES)),
    "kind": one_of(*FLAG_KINDS),
    "outcome": like(r"[a-z_]{2,20}"),
    "state": one_of("later", "ready", "leased", "taken", "idle", "busy"),
    "presence": one_of("online", "offline"),
    "pool": one_of(*SERVICES, "dashboard"),
    "type": like(r"[a-z_]{2,12}"),
    "direction": one_of("in", "out"),
    "code": like(r"[a-z_]{2,20}"),
    "le": like(r"\+Inf|[0-9.e+-]+"),
    "generation": one_of("0", "1", "2"),
    **dict.fromkeys(("implementation", "major", "minor", "patchlevel", "version"), like(r"[A-Za-z0-9.+]+")),
}
"""What each label may hold; a label that is not here may not be."""


class Told:
    """What the system told after a message went all its way, and what may stand in none of it."""

    def __init__(self, scrapes: dict[str, Scrape], secrets: set[str]) -> None:
        self.scrapes = scrapes
        self.secrets = secrets

    @property
    def names(self) -> set[str]:
        return {name for scrape in self.scrapes.values() for name in scrape.names}


@pytest.fixture(scope="module")
async def told(system: System) -> Told:
    async with Receiver.running() as receiver:
        endpoint = await system.cli("webhook", "create", receiver.url)
        guid = await system.send(TEXT, to=NUMBER)
        await system.succeeded(guid)
        await system.cli("phone", "receive", "--from", SENDER, RECEIVED)

        async def arrived() -> bool:
            return bool(receiver.with_text(RECEIVED.encode()))

        await until(arrived, "the webhook arrived")
        for path in (f"/v1/webhooks/{STRANGE_ID}", f"/{STRANGE_ID}", f"/device-in/v1/{STRANGE_ID}", f"//{NUMBER}"):
            await ask(system.base_url, "GET", path)
        await ask(system.base_url, "PROPFIND", f"/sendsms/?recipients={NUMBER}")
        phones = {json.loads((each / "connected").read_text())["device"] for each in (system.home / "phones").iterdir()}
        await system.cli("webhook", "delete", endpoint["id"])
        scrapes = {each["name"]: await scraped(each) for each in system.state["services"]}
    numbers = {NUMBER[1:], SENDER[1:], NUMBER[-7:], SENDER[-7:]}
    keys = {each for each in system.credentials.values() if len(each) >= MIN_SECRET_CHARS and "://" not in each}
    return Told(scrapes, {guid, endpoint["id"], receiver.url, STRANGE_ID, TEXT, RECEIVED, *numbers, *phones, *keys})


async def test_every_service_tells(told: Told) -> None:
    assert set(told.scrapes) == SERVICES
    for name, scrape in told.scrapes.items():
        assert "smsfleet_event_loop_delay_seconds_bucket" in scrape.names, name
        assert "smsfleet_rpc_answered_total" in scrape.names, name


async def test_no_label_holds_what_has_no_bound(told: Told) -> None:
    for name, scrape in told.scrapes.items():
        for sample in scrape.samples:
            for label, value in sample.labels.items():
                assert label in ALLOWED, f"{name}: {sample.name} has the label {label}"
                assert ALLOWED[label](value), f"{name}: {sample.name} has {label}={value!r}"


async def test_nothing_of_anybody_is_told(told: Told) -> None:
    for name, scrape in told.scrapes.items():
        assert [secret for secret in told.secrets if secret in scrape.text] == [], name


async def test_nothing_of_anybody_is_logged(system: System, told: Told) -> None:
    for name in SERVICES:
        text = (system.home / "logs" / f"{name}.log").read_text()
        assert [hidden for hidden in (NUMBER[1:], SENDER[1:], TEXT, RECEIVED, system.key) if hidden in text] == []


async def test_a_message_is_counted_on_its_way(told: Told) -> None:
    def value(service: str, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in told.scrapes[service].samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    assert value("gateway", "smsfleet_http_requests_total", route="/sendsms", status="2xx") >= 1
    assert value("gateway", "smsfleet_http_seconds_count", route="/sendsms") >= 1
    assert value("gateway", "smsfleet_messages_accepted_total") >= 1
    assert value("gateway", "smsfleet_phones_connected") >= 1
    assert value("gateway", "smsfleet_publish_envelopes_total", subject="cmd.sms.submit.single", outcome="stored") >= 1
    assert value("gateway", "smsfleet_auth_silence_seconds") < 3
    assert value("dispatcher", "smsfleet_consume_items_sum", durable="dispatcher-single") >= 1
    assert value("dispatcher", "smsfleet_rpc_answered_total", rpc="rpc.dispatcher.take", outcome="ok") >= 1
    assert value("gateway", "smsfleet_rpc_asked_total", rpc="rpc.dispatcher.take", outcome="ok") >= 1
    assert value("gateway", "smsfleet_phone_frames_total", type="take", direction="in") >= 1
    assert value("dispatcher", "smsfleet_texts_received_total") >= 1
    assert value("webhooks", "smsfleet_webhooks_posts_total", outcome="delivered") >= 1
    assert value("webhooks", "smsfleet_consume_lag_seconds", durable="webhooks-events") < 10
    assert value("auth", "smsfleet_auth_epoch") >= 1
    assert value("auth", "smsfleet_auth_read_age_seconds") < 10
    for name in SERVICES:
        assert value(name, "smsfleet_pool_connections", state="busy") <= value(name, "smsfleet_pool_limit")


@pytest.mark.parametrize("file", [DASHBOARD, RULES], ids=lambda path: path.name)
def test_dashboard_and_alerts_speak_of_what_there_is(told: Told, file: Path) -> None:
    spoken = named(file.read_text()) - {"smsfleet_"}
    assert len(spoken) > 10
    assert spoken - told.names == set()


def test_the_page_lists_exactly_what_there_is(told: Told) -> None:
    kinds = {name: kind for scrape in told.scrapes.values() for name, kind in scrape.kinds.items()}
    ours = {
        name: kind for name, kind in kinds.items() if name.startswith("smsfleet_") and not name.endswith("_created")
    }
    listed = dict(re.findall(r"^\| `(smsfleet_[a-z_]+)` \| ([a-z]+) ", PAGE.read_text(), re.MULTILINE))
    assert listed == ours


def test_the_page_says_what_to_do_at_each_alert() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} == set(re.findall(r"`(Smsfleet[A-Za-z]+)`", PAGE.read_text()))
    for rule in rules:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"]


def test_the_dashboard_can_be_imported() -> None:
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        if panel["type"] != "row":
            assert all(target["expr"] for target in panel["targets"]), panel["title"]
