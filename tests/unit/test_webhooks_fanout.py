"""Filters: which endpoint wants which event, and in what form."""

import dataclasses
from typing import Any

import pytest

from services.webhooks.examples import EXAMPLES
from services.webhooks.fanout import deliveries_of, delivery_of, wants
from services.webhooks.formats import DEFAULT_V2_TYPES, EndpointFacts
from services.webhooks.store.events import Subscriber, Told
from shared.contracts.rpc.webhooks import Filter

RECEIVED = Told(EXAMPLES["sms.received"], 1, device="phone", sim=2, number="+15551234567")
V2 = Subscriber("wh_1", 1, "v2")


def told(type: str) -> Told:
    return dataclasses.replace(RECEIVED, facts=EXAMPLES[type])


def filtered(**lists: Any) -> Subscriber:
    return dataclasses.replace(V2, filter=Filter(**lists))


@pytest.mark.parametrize("type", sorted(EXAMPLES))
def test_without_a_choice_v2_gets_the_contract_s_types_and_classic_received_texts(type: str) -> None:
    assert wants(V2, told(type)) == (type in DEFAULT_V2_TYPES)
    classic = deliveries_of([told(type)], [Subscriber("wh_2", 1, "classic")])
    assert len(classic) == (type == "sms.received")


@pytest.mark.parametrize(
    ("lists", "wanted"),
    [
        ({"types": ["sms.received"]}, True),
        ({"types": ["sms.sent"]}, False),
        ({"devices": ["phone"]}, True),
        ({"devices": ["other"]}, False),
        ({"sims": [1, 2]}, True),
        ({"sims": [1]}, False),
        ({"numbers": ["+15551234567"]}, True),
        ({"numbers": ["+1"]}, False),
        ({"devices": ["phone"], "sims": [2], "numbers": ["+15551234567"]}, True),
        ({"devices": ["phone"], "sims": [1], "numbers": ["+15551234567"]}, False),
    ],
)
def test_every_list_of_a_filter_must_be_passed(lists: dict[str, object], wanted: bool) -> None:
    assert wants(filtered(**lists), RECEIVED) is wanted


def test_what_has_no_device_passes_no_list_of_devices() -> None:
    nowhere = dataclasses.replace(RECEIVED, device=None, sim=None, number=None)
    assert wants(V2, nowhere)
    assert not any(
        wants(filtered(**lists), nowhere) for lists in ({"devices": ["phone"]}, {"sims": [1]}, {"numbers": ["1"]})
    )


def test_events_go_to_endpoints_of_their_account_only() -> None:
    other = dataclasses.replace(V2, id="wh_3", account=2)
    made = deliveries_of([RECEIVED], [V2, other])
    assert [(each.endpoint, each.account, each.event) for each in made] == [("wh_1", 1, RECEIVED.id)]


def test_no_endpoint_hears_of_itself() -> None:
    event = told("endpoint.failing")
    assert isinstance(event.facts.about, EndpointFacts)
    itself = dataclasses.replace(filtered(types=["endpoint.failing"]), id=event.facts.about.id)
    assert not wants(itself, event)
    assert wants(dataclasses.replace(itself, id="wh_9"), event)


def test_a_replay_ignores_the_filter_but_not_the_format() -> None:
    assert delivery_of(told("sms.delivered"), V2) is not None
    assert delivery_of(told("sms.delivered"), Subscriber("wh_2", 1, "classic")) is None
