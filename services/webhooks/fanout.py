"""Which endpoint gets which event, and as what body. Pure."""

from collections.abc import Iterable

from services.webhooks.formats import (
    CLASSIC_TYPES,
    DEFAULT_V2_TYPES,
    EndpointFacts,
    InboxFacts,
    classic_body,
    v2_body,
)
from services.webhooks.store.events import NewDelivery, Subscriber, Told


def deliveries_of(told: Iterable[Told], subscribers: Iterable[Subscriber]) -> list[NewDelivery]:
    """A delivery for each event and each endpoint of its account that wants it."""
    by_account: dict[int, list[Subscriber]] = {}
    for subscriber in subscribers:
        by_account.setdefault(subscriber.account, []).append(subscriber)
    return [
        delivery
        for event in told
        for subscriber in by_account.get(event.account, ())
        if wants(subscriber, event) and (delivery := delivery_of(event, subscriber))
    ]


def wants(subscriber: Subscriber, event: Told) -> bool:
    """Whether the event passes the endpoint's filter. No endpoint hears of itself: it could not be told."""
    wanted = subscriber.filter
    about = event.facts.about
    if isinstance(about, EndpointFacts):
        # What an endpoint went through belongs to no phone.
        return event.facts.type in wanted.types and about.id != subscriber.id
    return (
        event.facts.type in (wanted.types or DEFAULT_V2_TYPES)
        and (not wanted.devices or event.device in wanted.devices)
        and (not wanted.sims or event.sim in wanted.sims)
        and (not wanted.numbers or event.number in wanted.numbers)
    )


def delivery_of(event: Told, subscriber: Subscriber) -> NewDelivery | None:
    """The event in the endpoint's format, whatever its filter; None when that format cannot tell it."""
    if subscriber.format == "v2":
        body = v2_body(event.facts)
    elif event.facts.type in CLASSIC_TYPES and isinstance(event.facts.about, InboxFacts):
        body = classic_body(event.facts.about, subscriber.classic)
    else:
        return None
    return NewDelivery(event.id, subscriber.id, event.account, event.facts.type, body)
