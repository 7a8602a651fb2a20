"""What makes an access token believed: each rule is named after the section that it comes from."""

import base64
import json
from dataclasses import asdict
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from services.auth.signing import Keyring, Schedule, SealedKey, SigningKey, new_key
from services.auth.tokens import LEEWAY_S, Claims, checked_issuer, claims_of, facts, granted, issue, read
from shared.errors import Invalid, Startup
from shared.security.jwt import MAX_CHARS, UnknownKey, Untrusted, signed
from shared.security.vault import Vault

ISSUER = "https://sms.example.org"
CLIENT = "c" * 32
NOW = 1_000_000.5


def a_key(kid: str = "sig_1") -> SigningKey:
    vault = Vault("secret")
    ring = Keyring(vault, Schedule(86_400.0, 3600.0))
    ring.take([SealedKey(kid, new_key(vault, kid), 0.0)])
    found = ring.signer(NOW)
    assert found is not None
    return found


KEY = a_key()
KEYS = {KEY.kid: KEY.verifying}
CLAIMS = claims_of(ISSUER, CLIENT, ["sms:send", "sms:read"], NOW, 3600)


def token(**changes: Any) -> str:
    claims = {name: value for name, value in (asdict(CLAIMS) | changes).items() if value is not None}
    return signed(claims, KEY.kid, KEY.signing)


def believed(text: str, now: float = NOW) -> Claims:
    return read(text, KEYS, ISSUER, now)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def with_header(**changes: Any) -> str:
    header = {"alg": "EdDSA", "typ": "at+jwt", "kid": KEY.kid} | changes
    _, claims, signature = token().split(".")
    return f"{part({name: value for name, value in header.items() if value is not None})}.{claims}.{signature}"


def test_rfc9068_2_a_token_says_all_that_it_must() -> None:
    text = issue(CLAIMS, KEY)
    header = json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": KEY.kid}
    assert believed(text) == CLAIMS
    assert (CLAIMS.iss, CLAIMS.aud, CLAIMS.sub, CLAIMS.client_id) == (ISSUER, ISSUER, CLIENT, CLIENT)
    assert (CLAIMS.scope, CLAIMS.iat, CLAIMS.exp) == ("sms:send sms:read", 1_000_000, 1_003_600)
    assert claims_of(ISSUER, CLIENT, [], NOW, 60).jti != CLAIMS.jti


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "client_id", "jti", "scope", "iat", "exp"])
def test_rfc9068_2_2_a_token_without_a_claim_is_refused(claim: str) -> None:
    with pytest.raises(Untrusted):
        believed(token(**{claim: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example.org"},
        {"iss": ISSUER + "/"},
        {"aud": "https://other.example.org"},
        {"aud": [ISSUER, "https://other.example.org"]},
        {"sub": "another"},
        {"exp": "1003600"},
        {"exp": True},
        {"iat": None},
    ],
)
def test_rfc9068_4_a_token_of_or_for_somebody_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Untrusted):
        believed(token(**changes))


def test_rfc9068_4_a_token_ends_and_begins_within_the_leeway() -> None:
    text = token()
    assert believed(text, CLAIMS.exp + LEEWAY_S - 1) == CLAIMS
    assert believed(text, CLAIMS.iat - LEEWAY_S) == CLAIMS
    for moment in (CLAIMS.exp + LEEWAY_S, CLAIMS.iat - LEEWAY_S - 1):
        with pytest.raises(Untrusted):
            believed(text, float(moment))


@pytest.mark.parametrize("typ", ["JWT", "at+JWT ", "application/at+jwt+x", "", None, 1])
def test_rfc9068_4_another_type_of_token_is_refused(typ: Any) -> None:
    with pytest.raises(Untrusted):
        believed(with_header(typ=typ))


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "ES256", "RS256", "Ed448", "", None, ["EdDSA"], {}])
def test_rfc8725_3_1_only_one_algorithm_is_known(alg: Any) -> None:
    with pytest.raises(Untrusted):
        believed(with_header(alg=alg))


def test_rfc8725_2_1_the_public_key_is_no_shared_secret() -> None:
    forged = jwt.encode(
        {"alg": "HS256", "typ": "at+jwt", "kid": KEY.kid}, asdict(CLAIMS), OctKey.import_key(KEY.public)
    )
    with pytest.raises(Untrusted):
        believed(forged)


@pytest.mark.parametrize(
    "changes",
    [
        {"crit": ["exp"], "exp": 1},
        {"b64": False, "crit": ["b64"]},
        {"jku": "https://evil.example"},
        {"jwk": {"kty": "OKP"}},
        {"x5u": "https://evil.example"},
        {"cty": "JWT"},
        {"enc": "A256GCM"},
    ],
)
def test_rfc8725_3_10_headers_that_nobody_asked_for_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Untrusted):
        believed(with_header(**changes))


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' or 1=1 --", "x" * 300, "", "sig_2"])
def test_rfc8725_3_10_a_kid_is_only_ever_looked_up(kid: str) -> None:
    with pytest.raises(UnknownKey):
        believed(with_header(kid=kid))


@pytest.mark.parametrize("kid", [None, 1, ["sig_1"], {"sig_1": 1}])
def test_rfc8725_3_10_a_kid_is_a_text(kid: Any) -> None:
    with pytest.raises(Untrusted):
        believed(with_header(kid=kid))


def test_rfc8725_3_3_every_part_is_covered_by_the_signature() -> None:
    header, claims, signature = token().split(".")
    other = a_key()
    for forged in (
        signed(asdict(CLAIMS), KEY.kid, other.signing),
        f"{header}.{part(asdict(CLAIMS) | {'scope': 'account:manage'})}.{signature}",
        f"{header}.{claims}.",
        f"{header}.{claims}.{signature[:-4]}AAAA",
    ):
        with pytest.raises(Untrusted):
            believed(forged)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "a.b.c.d.e", "x" * (MAX_CHARS + 1), "é.é.é", "\x00", token() + ".x", "[]", "W10.W10.W10"],
)
def test_rfc8725_3_11_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Untrusted):
        believed(text)


def test_rfc6749_3_3_scopes_are_given_as_far_as_they_are_allowed() -> None:
    allowed = ["sms:send", "sms:read"]
    assert granted(None, allowed) == granted("", allowed) == allowed
    assert granted("sms:read  sms:read", allowed) == ["sms:read"]
    for asked in ("sms:delete", "sms:read sms:delete", "SMS:READ", "everything"):
        with pytest.raises(Invalid) as refused:
            granted(asked, allowed)
        assert refused.value.code == "invalid_scope"


def test_rfc7662_2_2_introspection_tells_the_scopes_that_are_left() -> None:
    assert facts(CLAIMS, ["sms:read"])["scope"] == "sms:read"


@pytest.mark.parametrize(
    ("url", "issuer"),
    [
        ("https://sms.example.org/", "https://sms.example.org"),
        ("https://example.org:8443/sms", "https://example.org:8443/sms"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost", "http://localhost"),
        ("http://0.0.0.0:8080", "http://0.0.0.0:8080"),
    ],
)
def test_rfc8414_2_an_issuer_is_https_or_this_machine(url: str, issuer: str) -> None:
    assert checked_issuer(url) == issuer


@pytest.mark.parametrize(
    "url",
    [
        "http://sms.example.org",
        "http://192.168.1.5:8080",
        "http://localhost.example.org",
        "ftp://127.0.0.1",
        "sms.example.org",
        "https://",
        "https://x.org?a=b",
        "https://x.org#a",
        "https://me:secret@x.org",
        "https://x.org:port",
        "https://[::1",
    ],
)
def test_rfc8414_2_other_issuers_are_refused(url: str) -> None:
    with pytest.raises(Startup):
        checked_issuer(url)
