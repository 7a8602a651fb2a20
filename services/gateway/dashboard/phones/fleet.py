"""The phones of an account as pages show them: what the dispatcher knows of each, put together. Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from shared.contracts.phone import Sim
from shared.contracts.rpc.apps import AppFacts
from shared.contracts.rpc.messages import Flag
from shared.contracts.rpc.phones import Budget, Device, Devices

State = Literal["waiting", "paused", "online", "offline"]


class Use(NamedTuple):
    """A limit of a SIM, and the parts that were used of it."""

    span: Literal["minute", "hour", "day"]
    used: int
    limit: int


class Slot(NamedTuple):
    """A SIM and what it may send; `budget` None: nothing limits it."""

    sim: Sim
    budget: Budget | None

    @property
    def uses(self) -> list[Use]:
        """Its limits, the shortest span first."""
        if (budget := self.budget) is None:
            return []
        spans = (
            ("minute", budget.used_minute, budget.per_minute),
            ("hour", budget.used_hour, budget.per_hour),
            ("day", budget.used_day, budget.per_day),
        )
        return [Use(span, used, limit) for span, used, limit in spans if limit is not None]  # type: ignore[arg-type]


class Phone(NamedTuple):
    """A phone; `app` is set for one of the app, `flags` say what is wrong with it, the oldest trouble first."""

    device: Device
    slots: list[Slot]
    app: AppFacts | None
    flags: list[Flag]

    @property
    def state(self) -> State:
        """What matters most of it; `waiting`: for a person who approves it."""
        if not self.device.approved:
            return "waiting"
        if self.device.paused:
            return "paused"
        return "online" if self.device.online else "offline"


def fleet(found: Devices, flags: Sequence[Flag] = ()) -> list[Phone]:
    """The phones in order of enrolment."""
    budgets = {(budget.device, budget.slot): budget for budget in found.budgets}
    apps = {app.device: app for app in found.apps}
    wrong: dict[str | None, list[Flag]] = {}
    for flag in flags:
        wrong.setdefault(flag.device, []).append(flag)
    return [
        Phone(
            device,
            [Slot(sim, budgets.get((device.id, sim.slot))) for sim in device.sims],
            apps.get(device.id),
            wrong.get(device.id, []),
        )
        for device in found.devices
    ]
