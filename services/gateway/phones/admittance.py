"""Lets a phone in: checks who says hello and opens its session with the dispatcher."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from services.gateway.phones.farewell import Farewell
from shared.bus.rpc import RpcClient
from shared.contracts import phone
from shared.contracts.registry import AUTH_ENROL, AUTH_VERIFY, DISPATCHER_HELLO, DISPATCHER_RENEW
from shared.contracts.rpc.auth import Enrol, Verify
from shared.contracts.rpc.phones import OpenSession, RenewSessions, SessionOpened
from shared.errors import SmsFleetError, Unavailable
from shared.security.secrets import digest

MAX_AT_ONCE: Final = 64
"""Phones let in at the same time: all of them come back at once when a gateway restarts."""

PROTOCOL: Final = "socket"
TIMEOUT_S: Final = 5.0
COME_BACK_AWAY_S: Final = 2.0
COME_BACK_REFUSED_S: Final = 5.0


class Admitted(NamedTuple):
    """A phone that is in. `token` is set after an enrolment, to be shown once."""

    account: int
    device: str
    token: str | None
    opened: SessionOpened


class _Identity(NamedTuple):
    account: int
    device: str
    token: str | None
    approved: bool


class Admittance:
    """The door for phones."""

    def __init__(self, rpc: RpcClient, gateway: str, seen: Callable[[int, str], None]) -> None:
        """`gateway` is this replica's id; `seen` hears the account and device of each phone that gets in."""
        self._rpc = rpc
        self._gateway = gateway
        self._seen = seen
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)

    async def admit(self, hello: phone.Hello) -> Admitted:
        """Opens the phone's session. Raises Farewell (`unauthorized`, `unavailable`)."""
        async with self._at_once:
            try:
                identity = await self._identify(hello)
                opened = await self._rpc.ask(DISPATCHER_HELLO, self._question(hello, identity), TIMEOUT_S)
            except Unavailable as error:
                raise Farewell("unavailable", str(error), COME_BACK_AWAY_S) from error
            except SmsFleetError as error:
                raise Farewell("unauthorized", str(error), COME_BACK_REFUSED_S) from error
        self._seen(identity.account, identity.device)
        return Admitted(identity.account, identity.device, identity.token, opened)

    async def _identify(self, hello: phone.Hello) -> _Identity:
        if hello.token is not None:
            question = Verify("device_token", digest(hello.token))
            verdict = await self._rpc.ask(AUTH_VERIFY, question, TIMEOUT_S)
            if verdict.account is None:
                raise Farewell("unauthorized", "The device token is not valid.", COME_BACK_REFUSED_S)
            # A token approves nothing: the device stays what its enrolment or its owner made it.
            return _Identity(verdict.account, verdict.subject, None, approved=False)
        assert hello.enrolment_key is not None
        # A key that makes many devices must not make one that nobody then opens a session for.
        await self._rpc.ask(DISPATCHER_RENEW, RenewSessions(gateway=self._gateway, sessions=[]), TIMEOUT_S)
        try:
            enrolled = await self._rpc.ask(AUTH_ENROL, Enrol(digest=digest(hello.enrolment_key)), TIMEOUT_S)
        except Unavailable:
            raise
        except SmsFleetError as error:
            raise Farewell("unauthorized", str(error), None) from error
        return _Identity(enrolled.account, enrolled.device, enrolled.token, enrolled.approved)

    def _question(self, hello: phone.Hello, identity: _Identity) -> OpenSession:
        return OpenSession(
            account=identity.account,
            device=identity.device,
            gateway=self._gateway,
            journal=hello.journal,
            name=hello.name,
            sims=hello.sims,
            channels=hello.channels,
            software=hello.software,
            protocol=PROTOCOL,
            approved=identity.approved,
        )
