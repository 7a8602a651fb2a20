"""Access tokens at the gateway: verified here, at no question's cost, and ended wherever their end is heard of."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from services.gateway.epochs import Epochs
from services.gateway.errors import BadToken
from services.gateway.tokens import Tokens
from services.gateway.trust import Trust
from services.gateway.verdicts import Verdicts
from shared.bus.rpc import RpcClient
from shared.contracts.rpc.auth import AskTrust, AuthChanged, Verdict
from shared.errors import Unavailable
from shared.security.jwt import new_private_key
from shared.security.secrets import digest
from tests.conftest import Eventually
from tests.integration.test_gateway_verdicts import Clock
from tests.support.gateway import ACCOUNT, Auth
from tests.support.issuer import CLIENT, KID, Issuer

DAY_S = 86_400


class Edge:
    """What a gateway keeps of tokens, with a clock that a test moves."""

    def __init__(self, client: Client) -> None:
        self.clock = Clock()
        self.started = time.time()
        self.epochs = Epochs(self.clock)
        rpc = RpcClient(client)
        self.clients = Verdicts("client", rpc, self.epochs, self.clock, DAY_S)
        self.trust = Trust(rpc, self.epochs, self.clock, self.wall, DAY_S)
        self.tokens = Tokens(self.trust, self.clients, self.wall)

    def wall(self) -> float:
        """Unix seconds that move with the clock."""
        return self.started + self.clock.now - 1000.0

    def hear(self, epoch: int) -> None:
        self.epochs.changed(msgspec.msgpack.encode(AuthChanged(epoch)))

    async def close(self) -> None:
        await self.clients.close()
        await self.trust.close()


@pytest.fixture
async def auth(nats_client: Client) -> AsyncIterator[Auth]:
    played = Auth(nats_client)
    await played.start()
    yield played
    await played.leave()


@pytest.fixture
async def issuer(nats_client: Client, auth: Auth) -> AsyncIterator[Issuer]:
    played = Issuer(nats_client, auth)
    await played.start()
    yield played
    await played.leave()


@pytest.fixture
async def edge(nats_client: Client, issuer: Issuer) -> AsyncIterator[Edge]:
    made = Edge(nats_client)
    await made.trust.load()
    yield made
    await made.close()


async def test_a_token_is_verified_once_and_costs_no_question(edge: Edge, issuer: Issuer, auth: Auth) -> None:
    token = issuer.token(scope="sms:send sms:read account:manage")
    assert edge.tokens.fresh(token.encode()) is None
    verdict = await edge.tokens.of(token)
    assert verdict.account == ACCOUNT
    assert verdict.scopes == ["sms:send", "sms:read"], "what both the token and its client have"
    assert verdict.subject == CLIENT
    asked = len(auth.asked), len(issuer.asked)
    assert edge.tokens.fresh(token.encode()) is verdict
    assert (len(auth.asked), len(issuer.asked)) == asked


async def test_a_scope_that_the_client_lost_is_lost_to_its_tokens(edge: Edge, issuer: Issuer, auth: Auth) -> None:
    token = issuer.token()
    assert "sms:send" in (await edge.tokens.of(token)).scopes
    auth.accounts[digest(CLIENT)] = Verdict(epoch=0, account=ACCOUNT, subject=CLIENT, scopes=["sms:read"])
    auth.epoch = 2
    edge.hear(2)
    assert edge.tokens.fresh(token.encode()) is None
    assert (await edge.tokens.of(token)).scopes == ["sms:read"]


@pytest.mark.parametrize("known", [True, False])
async def test_a_revoked_token_is_refused_from_the_broadcast_on(
    edge: Edge, issuer: Issuer, auth: Auth, known: bool
) -> None:
    token = issuer.token(jti="ends")
    if known:
        await edge.tokens.of(token)
    issuer.revoke("ends")
    edge.hear(auth.epoch)
    assert edge.tokens.fresh(token.encode()) is None
    with pytest.raises(BadToken):
        await edge.tokens.of(token)
    assert (await edge.tokens.of(issuer.token())).account == ACCOUNT


async def test_a_revoked_client_takes_its_tokens_with_it(edge: Edge, issuer: Issuer, auth: Auth) -> None:
    token = issuer.token()
    await edge.tokens.of(token)
    del auth.accounts[digest(CLIENT)]
    auth.epoch = 2
    edge.hear(2)
    with pytest.raises(BadToken):
        await edge.tokens.of(token)


async def test_a_withdrawn_key_takes_its_tokens_with_it(edge: Edge, issuer: Issuer, auth: Auth) -> None:
    token = issuer.token()
    await edge.tokens.of(token)
    issuer.keys = {"key-2": new_private_key()}
    auth.epoch = 2
    edge.hear(2)
    with pytest.raises(BadToken):
        await edge.tokens.of(token)
    assert (await edge.tokens.of(issuer.token("key-2"))).account == ACCOUNT


async def test_a_token_ends_with_its_time(edge: Edge, issuer: Issuer) -> None:
    token = issuer.token(exp=int(edge.started) + 10)
    await edge.tokens.of(token)
    edge.clock.now += 69
    assert (await edge.tokens.of(token)).account == ACCOUNT, "60 s of leeway"
    edge.clock.now += 2
    assert edge.tokens.fresh(token.encode()) is None
    with pytest.raises(BadToken):
        await edge.tokens.of(token)


async def test_an_unknown_key_is_asked_for_once_a_second(edge: Edge, issuer: Issuer) -> None:
    issuer.keys["new"] = new_private_key()
    token = issuer.token("new")
    del issuer.keys["new"]
    before = len(issuer.of(AskTrust))
    for _ in range(20):
        with pytest.raises(BadToken):
            await edge.tokens.of(token)
    assert len(issuer.of(AskTrust)) == before, "trust was loaded less than a second ago"
    edge.clock.now += 1
    for _ in range(20):
        with pytest.raises(BadToken):
            await edge.tokens.of(token)
    assert len(issuer.of(AskTrust)) == before + 1
    issuer.keys["new"] = new_private_key()
    edge.clock.now += 1
    assert (await edge.tokens.of(issuer.token("new"))).account == ACCOUNT, "a key is found before it is heard of"


async def test_without_trust_nothing_is_refused_for_good(nats_client: Client, auth: Auth) -> None:
    """Auth was never reached: a token cannot be judged, so it is neither good nor bad."""
    edge, issuer = Edge(nats_client), Issuer(nats_client, auth)
    await edge.trust.load()
    for token in (issuer.token(), issuer.token().replace(".", ".x", 1)):
        with pytest.raises(Unavailable):
            await edge.tokens.of(token)
    await issuer.start()
    edge.clock.now += 1
    assert (await edge.tokens.of(issuer.token())).account == ACCOUNT
    await issuer.leave()
    await edge.close()


@pytest.mark.parametrize("away_s", [600, DAY_S - 60])
async def test_auth_is_away_for_long(edge: Edge, issuer: Issuer, auth: Auth, away_s: int) -> None:
    """What is known works on, at once; what is unknown is put off; a revocation that was heard stays one."""
    ended = issuer.token(jti="ended", exp=int(edge.started) + 2 * DAY_S)
    token = issuer.token(exp=int(edge.started) + 2 * DAY_S)
    await edge.tokens.of(token)
    await edge.tokens.of(ended)
    issuer.revoke("ended")
    edge.hear(auth.epoch)
    with pytest.raises(BadToken):
        await edge.tokens.of(ended)
    await issuer.leave()
    await auth.leave()
    edge.clock.now += away_s
    assert (await edge.tokens.of(token)).account == ACCOUNT
    begun = asyncio.get_running_loop().time()
    for _ in range(200):
        assert (await edge.tokens.of(token)).account == ACCOUNT
    assert asyncio.get_running_loop().time() - begun < 0.5, "nobody waits once auth is known to be away"
    again = issuer.token(exp=int(edge.started) + 2 * DAY_S)
    assert (await edge.tokens.of(again)).account == ACCOUNT, "a new token of a known client and key"
    with pytest.raises(BadToken):
        await edge.tokens.of(ended)
    issuer.keys["new"] = new_private_key()
    with pytest.raises(Unavailable):
        await edge.tokens.of(issuer.token("new"))
    edge.clock.now += DAY_S
    with pytest.raises(Unavailable):
        await edge.tokens.of(token)


async def test_it_recovers_by_itself(edge: Edge, issuer: Issuer, auth: Auth, eventually: Eventually) -> None:
    token = issuer.token(exp=int(edge.started) + 3600)
    await edge.tokens.of(token)
    await issuer.leave()
    edge.clock.now += 61
    following = asyncio.create_task(edge.trust.run())
    assert (await edge.tokens.of(token)).account == ACCOUNT
    issuer.revoke("another")
    await issuer.start()

    async def level() -> bool:
        edge.clock.now += 0.2
        edge.hear(auth.epoch)
        return edge.trust.is_level()

    await eventually(level)
    following.cancel()
    assert edge.trust.revoked("another")


async def test_a_revocation_is_forgotten_after_its_token_would_be(edge: Edge, issuer: Issuer, auth: Auth) -> None:
    issuer.revoke("short")
    edge.hear(auth.epoch)
    await edge.trust.settle()
    assert edge.trust.revoked("short")
    issuer.revoked.clear()
    edge.clock.now += 3600
    await edge.trust.settle()
    assert edge.trust.revoked("short"), "the leeway is not over"
    edge.clock.now += 61
    await edge.trust.settle()
    assert not edge.trust.revoked("short")


async def test_a_restored_database_takes_no_revocation_back(edge: Edge, issuer: Issuer, auth: Auth) -> None:
    issuer.revoke("ended")
    edge.hear(auth.epoch)
    await edge.trust.settle()
    issuer.revoked.clear()
    auth.epoch = 1
    for _ in range(12):
        edge.clock.now += 1
        edge.hear(1)
    await edge.trust.settle()
    assert edge.trust.is_level()
    assert issuer.of(AskTrust)[-1].since == 0
    assert edge.trust.revoked("ended")


def forged(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join([*parts, "AAAA"])


async def test_a_forged_token_costs_no_question(edge: Edge, issuer: Issuer, auth: Auth) -> None:
    edge.clock.now += 5
    edge.hear(1)
    await edge.trust.settle()
    asked = len(auth.asked), len(issuer.asked)
    for _ in range(50):
        with pytest.raises(BadToken):
            await edge.tokens.of(forged({"alg": "EdDSA", "typ": "at+jwt", "kid": KID}, issuer.claims()))
    assert (len(auth.asked), len(issuer.asked)) == asked
