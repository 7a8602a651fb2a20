"""Puts auth together: the only place that constructs its parts."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY
from faststream.nats import NatsBroker, NatsMessage

from services.auth import metrics
from services.auth.directory import Directory
from services.auth.hashing import Hashing
from services.auth.memory import Memory
from services.auth.rotation import Rotation
from services.auth.rpc.accounts import AccountAnswers
from services.auth.rpc.clients import ClientAnswers
from services.auth.rpc.enrolment import EnrolmentAnswers
from services.auth.rpc.keys import KeyAnswers
from services.auth.rpc.responders import Answers, responders
from services.auth.rpc.tokens import TokenAnswers
from services.auth.rpc.users import UserAnswers
from services.auth.settings import AuthSettings
from services.auth.signing import Keyring
from services.auth.store.accounts import Accounts
from services.auth.store.audit import Audit, Uses
from services.auth.store.clients import Clients
from services.auth.store.enrolment import Enrolment
from services.auth.store.expired import Expired
from services.auth.store.keys import Keys
from services.auth.store.signing import Signing
from services.auth.store.state import State
from services.auth.store.users import Slowness, Users
from services.auth.sweeper import Sweeper
from services.auth.uses import Gathered
from shared.bus.connection import OnEvent
from shared.bus.worker import finish, running_broker, undecoded, worker_broker
from shared.contracts.registry import AUTH_CHANGED
from shared.contracts.rpc.auth import AuthChanged
from shared.db.pool import Pool, connected_pool, is_item_error, is_surroundings_error
from shared.runtime.clock import Clock, system_clock
from shared.runtime.service import Service
from shared.security.vault import Vault

POOL_SIZE = 6

PASSWORD_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
"""64 MiB and three passes (RFC 9106, 4: the second recommended option)."""

REPEAT_S = 0.5
"""How often each replica tells its epoch."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AuthChanged).decode


@dataclass
class Auth:
    """The parts of auth that have a life of their own."""

    broker: NatsBroker
    directory: Directory
    rotation: Rotation
    sweeper: Sweeper
    hashing: Hashing


def build(
    settings: AuthSettings,
    pool: Pool,
    closed: OnEvent,
    clock: Clock = system_clock,
    hasher: PasswordHasher = PASSWORD_HASHER,
) -> Auth:
    """Every part of auth, its subscribers declared on the broker. Connects to nothing. Raises Startup."""
    issuer, schedule = settings.issuer(), settings.schedule()
    vault = Vault(settings.secret(), settings.older_secrets())
    broker = worker_broker(settings, "auth", closed)

    async def announce(epoch: int) -> None:
        await broker.connection.publish(AUTH_CHANGED, _encode(AuthChanged(epoch)))

    async def heard(message: NatsMessage) -> None:
        directory.hear(_decode(message.body).epoch)

    directory = Directory(State(pool), lambda: Memory(Keyring(vault, schedule)), announce, time.monotonic)
    rotation = Rotation(Signing(pool, schedule), directory, vault, clock)
    clients, audit, hashing = Clients(pool), Audit(pool), Hashing(hasher)
    gathered = Gathered(Uses(pool), audit)
    answers = Answers(
        tokens=TokenAnswers(clients, directory, gathered, clock, issuer, settings.token_ttl_s),
        accounts=AccountAnswers(Accounts(pool), audit, directory),
        keys=KeyAnswers(Keys(pool), directory),
        clients=ClientAnswers(clients, rotation, directory, clock),
        enrolment=EnrolmentAnswers(Enrolment(pool), directory),
        users=UserAnswers(Users(pool), directory, hashing, Slowness()),
    )
    for responder in responders(answers, is_item_error=is_item_error, is_surroundings_error=is_surroundings_error):
        responder.subscribe(broker)
    broker.subscriber(
        AUTH_CHANGED,
        decoder=undecoded,
        no_reply=True,
        title=AUTH_CHANGED,
        description=(AuthChanged.__doc__ or "").strip(),
    )(heard)
    sweeper = Sweeper(rotation, gathered, Expired(pool), directory, clock)
    return Auth(broker, directory, rotation, sweeper, hashing)


@contextlib.asynccontextmanager
async def open_service(
    settings: AuthSettings, clock: Clock = system_clock, hasher: PasswordHasher = PASSWORD_HASHER
) -> AsyncIterator[Service]:
    """Auth with every active credential in memory, answering. Raises Startup."""
    service = Service()

    async def closed() -> None:
        service.tasks.failed.set()

    async with connected_pool(settings, "auth", size=POOL_SIZE) as pool:
        auth = build(settings, pool, closed, clock, hasher)
        await auth.directory.load()
        await auth.rotation.begin()
        metrics.EPOCH.set_function(lambda: auth.directory.epoch)
        metrics.BEHIND.set_function(lambda: auth.directory.behind)
        metrics.READ_AGE.set_function(auth.directory.read_age_s)
        async with running_broker(auth.broker) as connection:
            service.tasks.start("follow", auth.directory.follow())
            service.tasks.every("repeat", REPEAT_S, auth.directory.repeat)
            auth.sweeper.start(service.tasks)
            service.health.add("database", auth.directory.state)
            service.health.add("nats", lambda: "ok" if connection.is_connected else "not connected")
            try:
                yield service
            finally:
                await finish(auth.broker)
                await service.tasks.close()
                with contextlib.suppress(Exception):
                    await auth.sweeper.flush()
                auth.hashing.close()
