"""Who asks too much: guesses by address, tokens by client and address, proxies in between, auth away meanwhile."""

import asyncio
import json
import time

import pytest
from nats.aio.client import Client

from services.gateway.guesses import MAX_SOURCES, Guesses
from services.gateway.rates import Rates
from shared.contracts.rpc.auth import IssueToken, Verdict
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.integration.test_gateway_rates import valkey
from tests.integration.test_gateway_verdicts import Clock
from tests.support import http
from tests.support.gateway import ACCOUNT, KEY, OTHER_KEY, SCOPES, Gateway, running_gateway
from tests.support.issuer import CLIENT, OTHER_CLIENT, OTHER_SECRET, SECRET, issuing_gateway
from tests.support.waiting import until

__all__ = ["valkey"]


async def get_token(gateway: Gateway, client: str = CLIENT, secret: str = SECRET, **headers: str) -> http.Response:
    body = http.form(grant_type="client_credentials", client_id=client, client_secret=secret)
    return await gateway.ask("POST", "/oauth2/token", body=body, headers=http.FORM | headers)


async def look(gateway: Gateway, key: str, forwarded: str | None = None) -> http.Response:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return await gateway.ask("GET", f"/getsms/?apikey={key}", headers=headers)


async def test_guesses_of_an_address_stop_reaching_auth(settings: ServiceSettings, nats_client: Client) -> None:
    async with running_gateway(settings, nats_client) as gateway:
        assert (await look(gateway, KEY)).status == 200
        for number in range(20):
            assert (await look(gateway, f"{number:048x}")).status == 403
        asked = len(gateway.auth.asked)
        begun = time.monotonic()
        answers = [await look(gateway, f"{number:048x}") for number in range(100, 140)]
        seconds = time.monotonic() - begun
        assert {answer.status for answer in answers} == {403}
        assert len(gateway.auth.asked) - asked <= 1 + seconds, "one a second is let through"
        assert (await gateway.ask("GET", "/v1/account", headers={"Authorization": f"Bearer {'9' * 48}"})).status == 401
        assert (await look(gateway, KEY)).status == 200, "what is known to be good goes on working"
        gateway.auth.epoch += 1

        async def comes_through() -> bool:
            return (await look(gateway, OTHER_KEY)).status == 200

        await until(comes_through, "the owner's new key comes through", 5)


async def test_one_bad_key_again_and_again_is_no_guessing(settings: ServiceSettings, nats_client: Client) -> None:
    async with running_gateway(settings, nats_client) as gateway:
        for _ in range(60):
            assert (await look(gateway, "0" * 48)).status == 403
        assert len(gateway.auth.asked) == 1, "nor does it cost a question twice"
        assert (await look(gateway, OTHER_KEY)).status == 200


async def test_a_new_key_works_at_once_although_it_was_unknown_a_moment_ago(
    settings: ServiceSettings, nats_client: Client
) -> None:
    async with running_gateway(settings, nats_client) as gateway:
        assert (await look(gateway, "7" * 48)).status == 403
        gateway.auth.accounts[digest("7" * 48)] = Verdict(epoch=0, account=ACCOUNT, subject="new", scopes=SCOPES)
        gateway.auth.epoch += 1

        async def works() -> bool:
            return (await look(gateway, "7" * 48)).status == 200

        await until(works, "the new key works", 1)


def test_guessers_take_bounded_room_and_have_a_network_each() -> None:
    clock = Clock()
    guesses = Guesses(2, clock)
    for number in range(MAX_SOURCES + 100):
        guesses.missed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", digest(str(number)))
    assert len(guesses._sources) == MAX_SOURCES
    for address in ("2001:db8::1", "2001:db8::2"):
        guesses.missed(address, digest(address))
    assert guesses.may_ask("2001:db8::3"), "one a second"
    assert not guesses.may_ask("2001:db8:0:0:ffff::4")
    assert guesses.may_ask("2001:db8:0:1::1")
    for number in range(2):
        guesses.missed("::ffff:192.0.2.1", digest(str(number)))
    assert guesses.may_ask("192.0.2.1")
    assert not guesses.may_ask("192.0.2.1")
    clock.now += 61
    assert guesses.may_ask("192.0.2.1")
    assert guesses.may_ask("192.0.2.1")
    assert guesses.may_ask("no address" * 100)


async def test_secrets_are_not_tried_out(settings: ServiceSettings, nats_client: Client) -> None:
    async with issuing_gateway(settings, nats_client) as (gateway, issuer):
        assert (await get_token(gateway)).status == 200
        for number in range(20):
            assert (await get_token(gateway, secret=f"{number:064x}")).status == 401
        asked = len(issuer.of(IssueToken))
        begun = time.monotonic()
        answers = [await get_token(gateway, secret=f"{number:064x}") for number in range(100, 130)]
        held = [answer for answer in answers if answer.status == 429]
        assert len(held) >= 29 - (time.monotonic() - begun)
        assert held[0].headers["retry-after"] == "1"
        assert held[0].json()["error"] == "rate_limited"
        assert len(issuer.of(IssueToken)) - asked == len(answers) - len(held)
        assert (await get_token(gateway)).status == 200, "who has got a token before gets one"


@pytest.mark.usefixtures("valkey")
async def test_a_clients_rate_is_its_own(settings: ServiceSettings, nats_client: Client) -> None:
    async with (
        issuing_gateway(settings, nats_client, token_rate_per_client=3) as (one, _),
        running_gateway(settings, nats_client, token_rate_per_client=3) as other,
    ):
        for _ in range(5):
            await get_token(one, secret="wrong")
        answers = await asyncio.gather(*(get_token(gateway) for _ in range(3) for gateway in (one, other)))
        assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 3
        limited = next(answer for answer in answers if answer.status == 429)
        assert 1 <= int(limited.headers["retry-after"]) <= 60
        assert limited.headers["cache-control"] == "no-store"
        assert (await get_token(one, OTHER_CLIENT, OTHER_SECRET)).status == 200


@pytest.mark.usefixtures("valkey")
@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:9/0", ""])
async def test_an_addresss_rate_holds_without_valkey(
    settings: ServiceSettings, nats_client: Client, url: str | None
) -> None:
    changes = {"token_rate_per_address": 4} | ({} if url == "" else {"redis_url": url})
    async with issuing_gateway(settings, nats_client, **changes) as (gateway, _):
        statuses = [(await get_token(gateway)).status for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2


async def test_auth_is_away(settings: ServiceSettings, nats_client: Client) -> None:
    async with issuing_gateway(settings, nats_client) as (gateway, issuer):
        token = (await get_token(gateway)).json()["access_token"]
        known = {"Authorization": f"Bearer {token}"}
        assert (await gateway.ask("GET", "/v1/account", headers=known)).status == 200
        await issuer.leave()
        await gateway.auth.leave()
        away = await get_token(gateway)
        assert away.status == 503
        assert away.headers["retry-after"] == "1"
        assert away.json()["error"] == "temporarily_unavailable"
        assert (await gateway.ask("GET", "/v1/account", headers=known)).status == 200
        unknown = await gateway.ask("GET", "/v1/account", headers={"Authorization": f"Bearer {OTHER_KEY}"})
        assert unknown.status == 503
        assert unknown.headers["retry-after"] == "1"
        assert json.loads(unknown.body)["code"] == "unavailable"
        assert (await look(gateway, OTHER_KEY)).status == 503
        assert (await gateway.ask("GET", "/.well-known/jwks.json")).status == 200
        await issuer.start()
        await gateway.auth.start()

        async def back() -> bool:
            return (await get_token(gateway)).status == 200 and (await look(gateway, OTHER_KEY)).status == 200

        await until(back, "it recovers by itself", 5)


async def test_a_gateway_that_never_reached_auth(settings: ServiceSettings, nats_client: Client) -> None:
    async with running_gateway(settings, nats_client) as gateway:
        for bearer in ("a.b.c", "x.y.z"):
            answer = await gateway.ask("GET", "/getsms/", headers={"Authorization": f"Bearer {bearer}"})
            assert answer.status == 503, "never 403"
        assert (await gateway.ask("GET", "/.well-known/jwks.json")).status == 503
        assert (await gateway.ask("GET", "/health/ready")).status == 200


async def test_the_address_behind_a_proxy_is_the_one_that_counts(
    settings: ServiceSettings, nats_client: Client
) -> None:
    async with issuing_gateway(settings, nats_client, trusted_proxies="127.0.0.0/8") as (gateway, issuer):
        for forwarded, found in (("1.1.1.1, 203.0.113.7", "203.0.113.7"), ("\xff" * 100, "127.0.0.1")):
            assert (await get_token(gateway, **{"X-Forwarded-For": forwarded})).status == 200
            assert issuer.of(IssueToken)[-1].address == found


async def test_spending_says_whether_it_counted() -> None:
    assert await Rates(None).spend("k", 1) is False
