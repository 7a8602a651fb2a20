"""Every page of the dashboard, area by area."""

from typing import Final

from services.gateway.dashboard import overview
from services.gateway.dashboard.account import audit, clients, enrolments, keys, people, profile, settings
from services.gateway.dashboard.door import signin
from services.gateway.dashboard.messages import export, inbox, listing, one, send
from services.gateway.dashboard.phones import enrol, phones
from services.gateway.dashboard.webhooks import deliveries, editing, endpoints, replays

HANDLERS: Final = [
    *signin.HANDLERS,
    *overview.HANDLERS,
    *send.HANDLERS,
    *listing.HANDLERS,
    *one.HANDLERS,
    *export.HANDLERS,
    *inbox.HANDLERS,
    *phones.HANDLERS,
    *enrol.HANDLERS,
    *endpoints.HANDLERS,
    *editing.HANDLERS,
    *deliveries.HANDLERS,
    *replays.HANDLERS,
    *keys.HANDLERS,
    *clients.HANDLERS,
    *enrolments.HANDLERS,
    *people.HANDLERS,
    *profile.HANDLERS,
    *audit.HANDLERS,
    *settings.HANDLERS,
]
