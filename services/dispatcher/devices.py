"""Answers people's questions about phones: which there are, what their SIMs may send, and that one is to go."""

from collections.abc import Sequence

from services.dispatcher.budgets import Limits
from services.dispatcher.store.budgets import Budgets, SimBudget
from services.dispatcher.store.directory import Directory
from services.dispatcher.store.phones import Phones
from services.dispatcher.store.signs import Signs
from services.dispatcher.wakes import Wakes
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.phones import (
    MAX_LISTED,
    MAX_NAMED,
    Budget,
    ChangeDevice,
    Devices,
    ListDevices,
    NamedDevices,
    NameDevices,
    RemoveDevice,
    SetBudget,
)
from shared.errors import Invalid, NotFound
from shared.runtime.signals import Bell

MAX_PARTS = 1_000_000
MAX_DELAY_MS = 3_600_000
MAX_NAME_CHARS = 64
NO_SUCH_PHONE = "There is no such phone in this account."


class DeviceAnswers:
    """One method a question."""

    def __init__(
        self, phones: Phones, directory: Directory, budgets: Budgets, signs: Signs, wakes: Wakes, outbox_filled: Bell
    ) -> None:
        """Rings `outbox_filled` when an answer told events."""
        self._phones = phones
        self._directory = directory
        self._budgets = budgets
        self._signs = signs
        self._wakes = wakes
        self._outbox_filled = outbox_filled

    async def list(self, ask: ListDevices) -> Devices:
        """Phones of an account, with what their SIMs may send and have sent, and what the app says of them.

        Raises Invalid (`invalid_ids`).
        """
        if ask.ids is not None:
            page = await self._directory.some(ask.account, _few(ask.ids, MAX_LISTED))
        else:
            limit = None if ask.limit is None else max(1, min(ask.limit, MAX_LISTED))
            page = await self._directory.page(ask.account, ask.before, ask.after, limit)
        ids = [device.id for device in page.devices]
        budgets = [_told(budget) for budget in await self._budgets.of_phones(ask.account, ids)]
        apps = await self._signs.of_phones(ask.account, ids)
        return Devices(page.devices, budgets, apps, page.before, page.after, page.total, page.online)

    async def names(self, ask: NameDevices) -> NamedDevices:
        """What phones of an account are called. Raises Invalid (`invalid_ids`)."""
        return await self._directory.named(ask.account, _few(ask.ids, MAX_NAMED), min(ask.limit, MAX_NAMED))

    async def change(self, ask: ChangeDevice) -> Done:
        """Renames, approves or pauses a phone. Raises NotFound, Invalid (`invalid_name`)."""
        if ask.name is not None and not (1 <= len(ask.name.strip()) <= MAX_NAME_CHARS and ask.name.isprintable()):
            raise Invalid(f"A name has 1 to {MAX_NAME_CHARS} printable characters.", code="invalid_name")
        name = ask.name and ask.name.strip()
        if not await self._phones.change(ask.account, ask.device, name=name, approved=ask.approved, paused=ask.paused):
            raise NotFound(NO_SUCH_PHONE)
        return Done()

    async def remove(self, ask: RemoveDevice) -> Done:
        """Removes a phone. Raises NotFound."""
        freed = await self._phones.remove(ask.account, ask.device)
        if freed is None:
            raise NotFound(NO_SUCH_PHONE)
        self._outbox_filled.ring()
        await self._wakes.wake_for(freed)
        return Done()

    async def set_budget(self, ask: SetBudget) -> Done:
        """Changes what a SIM, or each of them, may send. Raises NotFound, Invalid (`invalid_budget`)."""
        limits = Limits(ask.per_minute, ask.per_hour, ask.per_day)
        if any(limit is not None and not 0 <= limit <= MAX_PARTS for limit in limits):
            raise Invalid(f"A budget is a number of parts from 1 to {MAX_PARTS}, or 0 for none.", code="invalid_budget")
        if ask.delay_ms is not None and not 0 <= ask.delay_ms[0] <= ask.delay_ms[1] <= MAX_DELAY_MS:
            raise Invalid("A delay is a range of milliseconds, at most an hour.", code="invalid_budget")
        if not await self._budgets.set(ask.account, ask.device, ask.slot, limits, ask.delay_ms):
            raise NotFound("There is no such phone or SIM in this account.")
        if ask.delay_ms is not None:
            await self._wakes.tell_settings(ask.device)
        return Done()


def _few(ids: Sequence[str], most: int) -> Sequence[str]:
    if len(ids) > most:
        raise Invalid(f"At most {most} phones are asked for at once.", code="invalid_ids")
    return ids


def _told(budget: SimBudget) -> Budget:
    return Budget(
        device=budget.device,
        slot=budget.slot,
        per_minute=budget.limits.per_minute,
        per_hour=budget.limits.per_hour,
        per_day=budget.limits.per_day,
        delay_ms=budget.delay_ms,
        used_minute=budget.used.per_minute or 0,
        used_hour=budget.used.per_hour or 0,
        used_day=budget.used.per_day or 0,
    )
