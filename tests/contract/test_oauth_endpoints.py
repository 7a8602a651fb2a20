"""The endpoints that clients authenticate at: RFC 6749, 7009 and 7662, each test named after its section."""

import base64
import json
from typing import Any
from urllib.parse import quote_plus

import pytest

from shared.contracts.rpc.auth import IssueToken
from tests.contract.conftest import OAuth
from tests.support.gateway import SCOPES
from tests.support.http import Response
from tests.support.issuer import CLIENT, OTHER_CLIENT, OTHER_SECRET, SECRET
from tests.support.waiting import until

TOKEN, INTROSPECT, REVOKE = "/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"
CREDENTIALS = {"client_id": CLIENT, "client_secret": SECRET}
OTHER = {"client_id": OTHER_CLIENT, "client_secret": OTHER_SECRET}
GRANT = {"grant_type": "client_credentials"}


def basic(client_id: str = CLIENT, secret: str = SECRET) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def not_kept(answer: Response) -> None:
    """RFC 6749, 5.1."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


def refused(answer: Response, status: int, error: str) -> None:
    """RFC 6749, 5.2: these two fields, in ASCII without quotes and backslashes."""
    assert answer.status == status, answer
    told = answer.json()
    assert told == {"error": error, "error_description": told["error_description"]}
    assert all(" " <= letter <= "~" and letter not in '"\\' for letter in told["error_description"])
    not_kept(answer)
    assert answer.headers.get("www-authenticate") == ('Basic realm="smsfleet"' if status == 401 else None)


async def token(oauth: OAuth, **more: str) -> str:
    answer = await oauth.post(TOKEN, **GRANT, **CREDENTIALS, **more)
    assert answer.status == 200, answer
    return str(answer.json()["access_token"])


@pytest.mark.parametrize("path", [TOKEN, f"{TOKEN}/"])
async def test_rfc6749_4_4_2_client_secret_post(oauth: OAuth, path: str) -> None:
    answer = await oauth.post(path, **GRANT, **CREDENTIALS)
    assert answer.status == 200, answer
    told = answer.json()
    assert told == {
        "access_token": told["access_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": " ".join(SCOPES),
    }
    not_kept(answer)
    assert (await oauth.account(told["access_token"])).status == 200


async def test_rfc6749_2_3_1_client_secret_basic(oauth: OAuth) -> None:
    answer = await oauth.post(TOKEN, basic(), **GRANT, scope="sms:send")
    assert answer.status == 200, answer
    assert answer.json()["scope"] == "sms:send"
    assert (await oauth.post(TOKEN, basic(), **GRANT, client_id=CLIENT)).status == 200


async def test_rfc6749_2_3_1_both_halves_are_form_encoded(oauth: OAuth) -> None:
    odd_id, odd_secret = "a client: 100%+&=", "se:cr et%2B+ü"[:-1]
    oauth.issuer.clients[odd_id] = odd_secret
    assert (await oauth.post(TOKEN, basic(odd_id, odd_secret), **GRANT)).status == 200
    raw = base64.b64encode(f"{odd_id}:{odd_secret}".encode()).decode()
    refused(await oauth.post(TOKEN, {"Authorization": f"Basic {raw}"}, **GRANT), 401, "invalid_client")


async def test_rfc6749_2_3_one_way_at_a_time(oauth: OAuth) -> None:
    refused(await oauth.post(TOKEN, basic(), **GRANT, **CREDENTIALS), 400, "invalid_request")
    refused(await oauth.post(TOKEN, basic(), **GRANT, client_id=OTHER_CLIENT), 400, "invalid_request")


@pytest.mark.parametrize("field", ["client_id", "client_secret", "token"])
async def test_rfc6749_2_3_1_no_credentials_in_the_address(oauth: OAuth, field: str) -> None:
    refused(await oauth.post(f"{TOKEN}?{field}=x", **GRANT, **CREDENTIALS), 400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", [TOKEN, INTROSPECT, REVOKE])
async def test_rfc6749_3_2_only_post(oauth: OAuth, path: str, method: str) -> None:
    answer = await oauth.gateway.ask(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type=client_credentials&scope=sms:send&scope=sms:read",
        b"grant_type=client_credentials&x=1&x=2",
        b"grant_type=client_credentials&scope=&scope=sms:read",
    ],
)
async def test_rfc6749_3_2_no_parameter_twice(oauth: OAuth, body: bytes) -> None:
    headers = basic() | {"Content-Type": "application/x-www-form-urlencoded"}
    refused(await oauth.gateway.ask("POST", TOKEN, body=body, headers=headers), 400, "invalid_request")


async def test_rfc6749_3_2_unknown_and_empty_parameters_are_passed_over(oauth: OAuth) -> None:
    answer = await oauth.post(TOKEN, basic(), **GRANT, scope="", resource="x", client_secret="")
    assert answer.json()["scope"] == " ".join(SCOPES)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"client_id": CLIENT},
        {"client_secret": SECRET},
        {"client_id": CLIENT, "client_secret": OTHER_SECRET},
        {"client_id": "nobody", "client_secret": SECRET},
        {"client_id": "x" * 5000, "client_secret": SECRET},
        {"client_id": CLIENT, "client_secret": "\0"},
        {"client_id": "é", "client_secret": SECRET},
        {
            "client_assertion": "a.b.c",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        },
    ],
    ids=lambda fields: "+".join(fields) or "none",
)
@pytest.mark.parametrize("path", [TOKEN, INTROSPECT, REVOKE])
async def test_rfc6749_5_2_invalid_client(oauth: OAuth, path: str, fields: dict[str, str]) -> None:
    refused(await oauth.post(path, **GRANT, token="x", **fields), 401, "invalid_client")


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(f"{CLIENT}:{OTHER_SECRET}".encode()).decode(),
        "Bearer x",
        "Digest username=x",
        "\xff",
    ],
)
async def test_rfc6749_5_2_invalid_client_by_header(oauth: OAuth, header: str) -> None:
    refused(await oauth.post(TOKEN, {"Authorization": header}, **GRANT), 401, "invalid_client")


@pytest.mark.parametrize("grant", ["password", "refresh_token", "authorization_code", "Client_Credentials", "x" * 999])
async def test_rfc6749_5_2_unsupported_grant_type(oauth: OAuth, grant: str) -> None:
    refused(await oauth.post(TOKEN, grant_type=grant, **CREDENTIALS), 400, "unsupported_grant_type")


async def test_rfc6749_5_2_unauthorized_client(oauth: OAuth) -> None:
    """A suspended account's client may not have tokens."""
    oauth.issuer.suspended = True
    try:
        refused(await oauth.post(TOKEN, **GRANT, **CREDENTIALS), 400, "unauthorized_client")
    finally:
        oauth.issuer.suspended = False


@pytest.mark.parametrize("scope", ["sms:fly", "sms:send account:manage", "SMS:SEND", 'a"b', "a\\b", "é", "x" * 2000])
async def test_rfc6749_5_2_invalid_scope(oauth: OAuth, scope: str) -> None:
    refused(await oauth.post(TOKEN, scope=scope, **GRANT, **CREDENTIALS), 400, "invalid_scope")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"grant_type=%ff%fe"),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 60)),
        ("application/json", b"[]"),
        ("application/json", b"{"),
        ("application/json", b'"x"'),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 5000),
        ("application/json", b'{"grant_type": ["client_credentials"]}'),
        ("application/json", b'{"grant_type": "client_credentials", "grant_type": "client_credentials"}'),
        ("application/json", json.dumps({str(number): "x" for number in range(60)}).encode()),
        ("multipart/form-data; boundary=x", b"--x--"),
    ],
)
async def test_rfc6749_5_2_invalid_request(oauth: OAuth, kind: str, body: bytes) -> None:
    answer = await oauth.gateway.ask("POST", TOKEN, body=body, headers=basic() | {"Content-Type": kind})
    refused(answer, 400, "invalid_request")


async def test_rfc6749_5_2_too_large(oauth: OAuth) -> None:
    answer = await oauth.gateway.ask("POST", TOKEN, body=b"x" * 300_000, headers=basic())
    refused(answer, 413, "invalid_request")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/plain", ""])
async def test_contract_2_6_json_and_missing_types(oauth: OAuth, kind: str) -> None:
    for body in (json.dumps(GRANT | CREDENTIALS).encode(), None):
        if body is None and "json" in kind:
            continue
        raw = body or f"grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}\r\n".encode()
        answer = await oauth.gateway.ask("POST", TOKEN, body=raw, headers={"Content-Type": kind} if kind else {})
        assert answer.status == 200, answer


async def test_what_travels_is_a_hash(oauth: OAuth) -> None:
    await token(oauth)
    asked = oauth.issuer.of(IssueToken)[-1]
    assert SECRET not in repr(asked)
    assert asked.address == "127.0.0.1"


async def introspected(oauth: OAuth, value: str, **fields: str) -> dict[str, Any]:
    answer = await oauth.post(INTROSPECT, token=value, **(CREDENTIALS | fields))
    assert answer.status == 200, answer
    not_kept(answer)
    told: dict[str, Any] = answer.json()
    return told


async def test_rfc7662_2_2_an_active_token(oauth: OAuth) -> None:
    value = await token(oauth, scope="sms:read")
    told = await introspected(oauth, value, token_type_hint="access_token")
    assert told["active"] is True
    assert told["scope"] == "sms:read"
    assert told["client_id"] == told["sub"] == CLIENT
    assert told["token_type"] == "Bearer"
    assert told["exp"] - told["iat"] == 3600
    assert set(told) == {"active", "scope", "client_id", "token_type", "sub", "aud", "iss", "jti", "iat", "exp"}


@pytest.mark.parametrize("value", ["x", "a.b.c", "x" * 5000, "a" * 48, "\0", "é"])
async def test_rfc7662_2_2_anything_else_is_not_active_and_says_no_more(oauth: OAuth, value: str) -> None:
    assert await introspected(oauth, value, token_type_hint="refresh_token") == {"active": False}


async def test_rfc7662_2_1_the_token_is_required(oauth: OAuth) -> None:
    refused(await oauth.post(INTROSPECT, **CREDENTIALS), 400, "invalid_request")
    refused(await oauth.post(INTROSPECT, token="", **CREDENTIALS), 400, "invalid_request")


async def test_rfc7662_2_3_a_bearer_token_is_no_authentication_here(oauth: OAuth) -> None:
    value = await token(oauth)
    answer = await oauth.post(INTROSPECT, {"Authorization": f"Bearer {value}"}, token=value)
    refused(answer, 401, "invalid_client")


async def test_rfc7009_2_a_revoked_token_is_not_active_and_refused(oauth: OAuth) -> None:
    value = await token(oauth)
    assert (await oauth.account(value)).status == 200
    answer = await oauth.post(REVOKE, token=value, **CREDENTIALS)
    assert (answer.status, answer.body) == (200, b"")
    assert await introspected(oauth, value) == {"active": False}
    assert (await oauth.post(REVOKE, token=value, **CREDENTIALS)).status == 200, "again"

    async def refused_everywhere() -> bool:
        return (await oauth.account(value)).status == 401

    await until(refused_everywhere, "the gateway has heard of it", 3)


@pytest.mark.parametrize("value", ["x", "a.b.c", "x" * 5000, "\0"])
async def test_rfc7009_2_2_an_unknown_token_is_200(oauth: OAuth, value: str) -> None:
    assert (await oauth.post(REVOKE, token=value, token_type_hint="whatever", **CREDENTIALS)).status == 200


async def test_rfc7009_2_1_another_clients_token_lives_on(oauth: OAuth) -> None:
    value = await token(oauth)
    assert (await oauth.post(REVOKE, token=value, **OTHER)).status == 200
    assert (await introspected(oauth, value))["active"] is True


async def test_rfc7009_2_1_the_token_is_required(oauth: OAuth) -> None:
    refused(await oauth.post(REVOKE, **CREDENTIALS), 400, "invalid_request")


async def test_paths_that_are_none(oauth: OAuth) -> None:
    for path in ("/oauth2/authorize", "/oauth2/", "/.well-known/openid-configuration"):
        answer = await oauth.gateway.ask("GET", path)
        assert answer.status == 404
        assert answer.json()["error"] == "invalid_request"
