"""What is no access token of ours (RFC 9068, RFC 8725), and how RFC 6750 says so. Tests are named by section."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwe, jws
from joserfc.jwk import OctKey, OKPKey, RSAKey

from shared.security.jwt import new_private_key, public_of, signed, signing_key
from tests.contract.conftest import OAuth
from tests.support.gateway import ACCOUNT, KEY
from tests.support.http import Response
from tests.support.issuer import CLIENT, KID

HEADER = {"alg": "EdDSA", "typ": "at+jwt", "kid": KID}
MALLORY = new_private_key()


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_by(private: bytes, header: Any, claims: Any) -> str:
    """A JWS with any header at all, whose signature is right for this key."""
    payload = f"{encoded(header)}.{encoded(claims)}"
    key = signing_key(private).get_op_key("sign")
    assert isinstance(key, Ed25519PrivateKey)
    return f"{payload}.{encoded(key.sign(payload.encode()))}"


def refused(answer: Response) -> None:
    """RFC 6750, 3.1."""
    assert answer.status == 401, answer
    assert answer.headers["www-authenticate"] == 'Bearer realm="smsfleet", error="invalid_token"'
    assert answer.headers["content-type"] == "application/problem+json"
    told = json.loads(answer.body)
    assert told == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": told["detail"],
        "code": "invalid_token",
    }


async def test_a_good_token_is_good(oauth: OAuth) -> None:
    answer = await oauth.account(oauth.issuer.token())
    assert answer.status == 200, answer
    assert answer.json()["account"] == ACCOUNT
    assert answer.json()["credential"] == CLIENT


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256", "PS256", "ES256", "Ed448", "", "EdDSA "])
async def test_rfc8725_3_1_only_one_algorithm(oauth: OAuth, alg: str) -> None:
    refused(await oauth.account(signed_by(oauth.issuer.keys[KID], HEADER | {"alg": alg}, oauth.issuer.claims())))


@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_rfc8725_2_1_none(oauth: OAuth, signature: str) -> None:
    token = f"{encoded(HEADER | {'alg': 'none'})}.{encoded(oauth.issuer.claims())}.{signature}"
    refused(await oauth.account(token))


async def test_rfc8725_2_1_a_public_key_is_no_shared_secret(oauth: OAuth) -> None:
    public = public_of(oauth.issuer.keys[KID])
    signing = f"{encoded(HEADER | {'alg': 'HS256'})}.{encoded(oauth.issuer.claims())}"
    for secret in (public, encoded(public).encode()):
        mac = hmac.digest(secret, signing.encode(), hashlib.sha256)
        refused(await oauth.account(f"{signing}.{encoded(mac)}"))


async def test_rfc8725_3_2_another_kind_of_key(oauth: OAuth) -> None:
    private = RSAKey.import_key(rsa.generate_private_key(65537, 2048))
    token = jws.serialize_compact(HEADER | {"alg": "RS256"}, json.dumps(oauth.issuer.claims()), private, ["RS256"])
    refused(await oauth.account(token))


async def test_rfc8725_3_3_the_signature_is_checked(oauth: OAuth) -> None:
    good = oauth.issuer.token()
    head, claims, signature = good.split(".")
    other = encoded(oauth.issuer.claims(scope="account:manage"))
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[10] ^= 1
    for forged in (
        f"{head}.{other}.{signature}",
        f"{head}.{claims}.{encoded(bytes(raw))}",
        f"{head}.{claims}.",
        f"{head}.{claims}.{signature[:40]}",
        signed(oauth.issuer.claims(), KID, signing_key(MALLORY)),
    ):
        refused(await oauth.account(forged))
    assert (await oauth.account(good)).status == 200


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "' or '1'='1",
        "'; drop table signing_keys; --",
        "k" * 3000,
        "key-2",
        "KEY-1",
        "key-1\0",
        "",
        "http://127.0.0.1:9/key",
        None,
        1,
        ["key-1"],
        {"key-1": 1},
    ],
)
async def test_rfc8725_3_10_kid_names_a_key_and_nothing_else(oauth: OAuth, kid: Any) -> None:
    refused(await oauth.account(signed_by(oauth.issuer.keys[KID], HEADER | {"kid": kid}, oauth.issuer.claims())))


async def test_rfc8725_3_10_no_kid(oauth: OAuth) -> None:
    header = {name: value for name, value in HEADER.items() if name != "kid"}
    refused(await oauth.account(signed_by(oauth.issuer.keys[KID], header, oauth.issuer.claims())))


async def test_rfc8725_3_10_a_token_brings_no_key(oauth: OAuth) -> None:
    own = OKPKey.import_key(signing_key(MALLORY).as_dict(private=False))
    for more in (
        {"jwk": own.as_dict(private=False)},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/chain"},
        {"x5c": ["MIIB"]},
        {"x5t": "AAAA"},
    ):
        refused(await oauth.account(signed_by(MALLORY, HEADER | more, oauth.issuer.claims())))


@pytest.mark.parametrize("more", [{"crit": ["exp"]}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"crit": "x"}])
async def test_rfc7515_4_1_11_critical_headers_are_not_understood(oauth: OAuth, more: dict[str, Any]) -> None:
    refused(await oauth.account(signed_by(oauth.issuer.keys[KID], HEADER | more, oauth.issuer.claims())))


@pytest.mark.parametrize("more", [{"zip": "DEF"}, {"cty": "JWT"}, {"enc": "A256GCM"}, {"x": 1}])
async def test_rfc8725_3_6_nothing_else_in_the_header(oauth: OAuth, more: dict[str, Any]) -> None:
    refused(await oauth.account(signed_by(oauth.issuer.keys[KID], HEADER | more, oauth.issuer.claims())))


async def test_rfc8725_2_3_encrypted_tokens(oauth: OAuth) -> None:
    key = OctKey.generate_key(256)
    token = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, oauth.issuer.token().encode(), key)
    refused(await oauth.account(token))


async def test_rfc8725_3_7_nested_tokens_and_other_shapes(oauth: OAuth) -> None:
    good = oauth.issuer.token()
    private = oauth.issuer.keys[KID]
    for token in (
        signed_by(private, HEADER, good.encode()),
        f"{good}.{good}",
        f".{good}",
        f"{good}.",
        "..",
        "a.b.c",
        good.replace(".", "..", 1),
        signed_by(private, b"\xff\xfe", b"{}"),
        signed_by(private, HEADER, b"\xff\xfe"),
        signed_by(private, HEADER, b"[" * 2000),
        signed_by(private, b"[" * 300, oauth.issuer.claims()),
        signed_by(private, [], oauth.issuer.claims()),
        signed_by(private, HEADER, []),
        signed_by(private, HEADER, b"null"),
        signed_by(private, HEADER, b'{"exp": NaN}'),
    ):
        refused(await oauth.account(token))


async def test_rfc8725_3_12_size(oauth: OAuth) -> None:
    fits = oauth.issuer.token(more="x" * 2000)
    assert (await oauth.account(fits)).status == 200
    refused(await oauth.account(oauth.issuer.token(more="x" * 4000)))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt+x", "id+jwt", "application/jwt", "secevent+jwt", "", None, 7])
async def test_rfc9068_4_typ_tells_access_tokens_from_others(oauth: OAuth, typ: Any) -> None:
    refused(await oauth.account(signed_by(oauth.issuer.keys[KID], HEADER | {"typ": typ}, oauth.issuer.claims())))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://127.0.0.1:8081"},
        {"iss": "https://127.0.0.1:8080"},
        {"iss": "http://127.0.0.1:8080/"},
        {"iss": ["http://127.0.0.1:8080"]},
        {"iss": None},
    ],
    ids=str,
)
async def test_rfc9068_4_the_issuer(oauth: OAuth, changes: dict[str, Any]) -> None:
    refused(await oauth.account(oauth.issuer.token(**changes)))


@pytest.mark.parametrize("aud", ["http://127.0.0.1:8081", "", [], ["http://other"], {"a": 1}, 1, None], ids=str)
async def test_rfc9068_4_the_audience(oauth: OAuth, aud: Any) -> None:
    refused(await oauth.account(oauth.issuer.token(aud=aud)))


@pytest.mark.parametrize("claim", ["exp", "iat", "jti", "sub", "client_id"])
async def test_rfc9068_2_2_every_claim_is_there(oauth: OAuth, claim: str) -> None:
    values: list[Any] = [None, "", {}, True]
    for value in values:
        refused(await oauth.account(oauth.issuer.token(**{claim: value})))


async def test_rfc9068_4_times_within_a_minute(oauth: OAuth) -> None:
    now = oauth.issuer.claims()["iat"]
    for good in ({"exp": now - 50}, {"iat": now + 50}, {"nbf": now + 50}):
        assert (await oauth.account(oauth.issuer.token(**good))).status == 200, good
    for bad in ({"exp": now - 61}, {"iat": now + 70}, {"nbf": now + 70}, {"exp": "9999999999"}, {"exp": -1}):
        refused(await oauth.account(oauth.issuer.token(**bad)))


async def test_rfc9068_5_a_client_that_is_gone(oauth: OAuth) -> None:
    refused(await oauth.account(oauth.issuer.token(client_id="f0" * 16)))


async def test_rfc6750_3_nothing_shown_is_no_error(oauth: OAuth) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic eDp5"}):
        answer = await oauth.gateway.ask("GET", "/v1/account", headers=headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="smsfleet"'


async def test_rfc6750_3_1_insufficient_scope_in_the_dialect(oauth: OAuth) -> None:
    """The dialect has its own shape (contract 1.2)."""
    token = oauth.issuer.token(scope="sms:read")
    answer = await oauth.gateway.ask("POST", "/sendsms", headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 403
    assert answer.json()["result"]["error"] == 1
    assert "sms:send" in answer.json()["message"]


async def test_contract_1_1_a_key_and_a_token(oauth: OAuth) -> None:
    token = oauth.issuer.token()
    for headers, status in (
        ({"Authorization": f"Bearer {token}"}, 200),
        ({"Authorization": "Bearer a.b.c"}, 200),
        ({"Authorization": f"bearer {KEY}"}, 200),
    ):
        answer = await oauth.gateway.ask("GET", f"/v1/account?apikey={KEY}", headers=headers)
        assert answer.status == status, answer
    other = await oauth.gateway.ask(
        "GET", f"/v1/account?apikey={'b' * 48}", headers={"Authorization": f"Bearer {token}"}
    )
    assert other.status == 403, "two good ones of different accounts"


async def test_contract_1_2_a_bad_token_in_the_dialect(oauth: OAuth) -> None:
    answer = await oauth.gateway.ask("GET", "/sendsms/", headers={"Authorization": "Bearer a.b.c"})
    assert answer.status == 403
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["error"] == 1
