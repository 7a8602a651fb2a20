"""Every page of the dashboard, area by area."""

from collections.abc import Sequence
from typing import Final

from litestar.types import ControllerRouterHandler

from services.gateway.dashboard import overview
from services.gateway.dashboard.account import audit, enrolments, keys, people, profile, settings
from services.gateway.dashboard.door import signin
from services.gateway.dashboard.messages import export, inbox, listing, one, send
from services.gateway.dashboard.phones import enrol, phones
from services.gateway.dashboard.webhooks import deliveries, editing, endpoints, replays

HANDLERS: Final[Sequence[ControllerRouterHandler]] = [
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
    *enrolments.HANDLERS,
    *people.HANDLERS,
    *profile.HANDLERS,
    *audit.HANDLERS,
    *settings.HANDLERS,
]
