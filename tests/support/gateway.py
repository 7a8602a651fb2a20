"""A real gateway on real NATS and Postgres, with auth and the dispatcher played over NATS as a test tells them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from websockets.asyncio.client import ClientConnection, connect

from deploy.local.ports import free_port
from services.gateway.app import open_service
from services.gateway.settings import GatewaySettings
from shared.contracts import phone, registry
from shared.contracts.commands import SubmitSms
from shared.contracts.envelope import decode_envelope
from shared.contracts.registry import Rpc
from shared.contracts.rpc.answers import Done, RpcError
from shared.contracts.rpc.auth import AuthChanged, Enrol, Enrolled, Verdict, Verify
from shared.contracts.rpc.messages import CancelAnswer, Deleted
from shared.contracts.rpc.phones import (
    Leased,
    OpenSession,
    SessionOpened,
    SessionRef,
    SessionsRenewed,
    TakeAttempts,
    TakenAttempts,
)
from shared.errors import SmsFleetError
from shared.runtime.service import Service
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support import http

KEY, OTHER_KEY, SUSPENDED_KEY = "a" * 48, "b" * 48, "c" * 48
READING_KEY = "f" * 48
SCOPES = ["sms:send", "sms:read", "sms:delete", "devices:read"]
TOKEN, ENROLMENT_KEY = "t" * 64, "e" * 64
ACCOUNT, OTHER_ACCOUNT = 7, 8
DEVICE, NEW_DEVICE = "d" * 21, "n" * 21
NOWHERE = "postgresql://nobody@127.0.0.1:9/none"
"""The URL of a Postgres that is not there."""

_encode = msgspec.msgpack.encode


async def answering(client: Client, contract: Rpc[Any, Any], answer: Callable[[Any], Awaitable[Any]]) -> Subscription:
    """Plays the owner of a question; an error of ours goes back as such, None means no answer at all."""

    async def handle(message: Msg) -> None:
        try:
            reply = await answer(msgspec.msgpack.decode(message.data, type=contract.request))
        except SmsFleetError as error:
            reply = RpcError(error.code, str(error))
        if reply is not None:
            await message.respond(_encode(reply))

    return await client.subscribe(contract.subject, cb=handle)


class Auth:
    """Knows two accounts' keys and one device; speaks every 100 ms as auth does every 500."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answers: list[Subscription] = []
        self.epoch = 1
        self.silent = False
        self.asked: list[Verify] = []
        self.accounts: dict[bytes, Verdict] = {
            digest(KEY): Verdict(epoch=0, account=ACCOUNT, subject="key_1", scopes=SCOPES, time_zone="Europe/Brussels"),
            digest(OTHER_KEY): Verdict(epoch=0, account=OTHER_ACCOUNT, subject="key_2", scopes=SCOPES),
            digest(READING_KEY): Verdict(epoch=0, account=ACCOUNT, subject="key_4", scopes=["sms:read"]),
            digest(SUSPENDED_KEY): Verdict(epoch=0, account=9, subject="key_3", active=False),
            digest(TOKEN): Verdict(epoch=0, account=ACCOUNT, subject=DEVICE),
        }
        self.enrolments = 0

    async def start(self) -> None:
        self._answers = [
            await answering(self._client, registry.AUTH_VERIFY, self._verify),
            await answering(self._client, registry.AUTH_ENROL, self._enrol),
        ]

    async def leave(self) -> None:
        """No responder is left."""
        answers, self._answers = self._answers, []
        for subscription in answers:
            await subscription.unsubscribe()
        await self._client.flush()

    async def speak(self) -> None:
        while True:
            if not self.silent:
                await self._client.publish(registry.AUTH_CHANGED, _encode(AuthChanged(self.epoch)))
            await asyncio.sleep(0.1)

    async def _verify(self, ask: Verify) -> Verdict | None:
        self.asked.append(ask)
        if self.silent:
            return None
        found = self.accounts.get(ask.digest, Verdict(epoch=0))
        return msgspec.structs.replace(found, epoch=self.epoch)

    async def _enrol(self, ask: Enrol) -> Enrolled:
        if ask.digest != digest(ENROLMENT_KEY):
            raise SmsFleetError("no such key")
        self.enrolments += 1
        return Enrolled(account=ACCOUNT, device=NEW_DEVICE, token="new token", approved=True)


class Dispatcher:
    """Opens sessions, gives the jobs that a test lays out, grants what it may."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answers: list[Subscription] = []
        self.session = 10
        self.again: list[phone.Job] = []
        self.jobs: list[phone.Job] = []
        self.refused: set[str] = set()
        self.stale: list[SessionRef] = []
        self.error: SmsFleetError | None = None
        self.deleted = 1
        self.silent: set[type] = set()
        self.heard: list[Any] = []

    async def start(self) -> None:
        answers: list[tuple[Rpc[Any, Any], Callable[[Any], Any]]] = [
            (registry.DISPATCHER_HELLO, self._hello),
            (registry.DISPATCHER_LEASE, lambda _: Leased(self.jobs)),
            (registry.DISPATCHER_TAKE, self._take),
            (registry.DISPATCHER_RENEW, lambda _: SessionsRenewed(self.stale)),
            (registry.DISPATCHER_CLOSE, lambda _: Done()),
            (registry.DISPATCHER_MARK_READ, lambda _: Done()),
            (registry.DISPATCHER_RESEND, lambda _: Done()),
            (registry.DISPATCHER_CANCEL, lambda _: CancelAnswer(wished=False)),
            (registry.DISPATCHER_DELETE, lambda _: Deleted(self.deleted)),
        ]
        self._answers = [await answering(self._client, contract, self._heard(answer)) for contract, answer in answers]

    async def leave(self) -> None:
        for subscription in self._answers:
            await subscription.unsubscribe()
        await self._client.flush()

    def of(self, kind: type) -> list[Any]:
        return [ask for ask in self.heard if isinstance(ask, kind)]

    def _heard(self, answer: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
        async def handle(ask: Any) -> Any:
            self.heard.append(ask)
            if type(ask) in self.silent:
                return None
            if self.error is not None:
                raise self.error
            return answer(ask)

        return handle

    def _hello(self, ask: OpenSession) -> SessionOpened:
        self.session += 1
        return SessionOpened(session=self.session, again=self.again)

    def _take(self, ask: TakeAttempts) -> TakenAttempts:
        return TakenAttempts([attempt for attempt in ask.attempts if attempt not in self.refused])


class Gateway:
    """The gateway under test and those around it."""

    def __init__(self, client: Client, auth: Auth, dispatcher: Dispatcher, service: Service, port: int) -> None:
        self.client = client
        self.auth = auth
        self.dispatcher = dispatcher
        self.service = service
        self.url = f"http://127.0.0.1:{port}"

    async def ask(self, method: str, target: str, **more: Any) -> http.Response:
        return await http.ask(self.url, method, target, **more)

    async def get(self, path: str, **parameters: object) -> http.Response:
        return await self.ask("GET", http.query(path, **parameters))

    async def commands(self) -> list[SubmitSms]:
        """What stands on the COMMANDS stream."""
        return [msgspec.msgpack.decode(item, type=SubmitSms) for item in await stream_items(self.client, "COMMANDS")]

    @contextlib.asynccontextmanager
    async def socket(self) -> AsyncIterator["Phone"]:
        async with connect(
            self.url.replace("http", "ws") + "/phone/v1/socket", proxy=None, close_timeout=1, compression=None
        ) as connection:
            yield Phone(connection)

    @contextlib.asynccontextmanager
    async def phone(self, **changes: Any) -> AsyncIterator["Phone"]:
        """A phone that said hello and was welcomed."""
        async with self.socket() as phone_:
            await phone_.say(hello(**changes))
            phone_.welcome = await phone_.hear(phone.Welcome)
            yield phone_


class Phone:
    """The phone's end of the socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome: phone.Welcome | None = None

    async def say(self, frame: phone.Frame) -> None:
        await self.connection.send(msgspec.json.encode(frame).decode())

    async def hear(self, kind: type[Any], within_s: float = 5.0) -> Any:
        """The next frame, which must be of this kind."""
        async with asyncio.timeout(within_s):
            frame = msgspec.json.decode(await self.connection.recv(), type=phone.FromGateway)
        assert isinstance(frame, kind), frame
        return frame


async def send(gateway: Gateway, key: str = KEY, /, **parameters: object) -> http.Response:
    """A text sent the commercial service's way; `parameters` are added to those that it needs."""
    wanted = {"apikey": key, "recipients": "+3247123456", "message": "hello"} | parameters
    return await gateway.get("/sendsms/", **wanted)


def hello(**changes: Any) -> phone.Hello:
    fields: dict[str, Any] = {
        "version": phone.VERSION,
        "journal": "j1",
        "name": "test phone",
        "sims": [phone.Sim(slot=1, number="+15550001"), phone.Sim(slot=2)],
        "token": TOKEN,
    }
    return phone.Hello(**(fields | changes))


async def stream_items(client: Client, stream: str) -> list[bytes]:
    """The items of all envelopes on a stream, read without its consumers."""
    jetstream = client.jetstream()
    state = (await jetstream.stream_info(stream)).state
    items: list[bytes] = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        with contextlib.suppress(nats.js.errors.NotFoundError):
            items += decode_envelope((await jetstream.get_msg(stream, sequence)).data or b"")
    return items


@contextlib.asynccontextmanager
async def running_gateway(
    settings: ServiceSettings,
    client: Client,
    beside: Callable[[Auth], Awaitable[None]] | None = None,
    **changes: Any,
) -> AsyncIterator[Gateway]:
    """A gateway of this test's own; `changes` are settings, `beside` starts what else must be there before it."""
    auth, dispatcher = Auth(client), Dispatcher(client)
    await auth.start()
    if beside is not None:
        await beside(auth)
    await dispatcher.start()
    speaking = asyncio.create_task(auth.speak())
    own = GatewaySettings(**(msgspec.structs.asdict(settings) | {"port": free_port()} | changes))
    try:
        async with open_service(own) as service:
            yield Gateway(client, auth, dispatcher, service, own.port)
    finally:
        speaking.cancel()
