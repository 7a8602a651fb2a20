"""OAuth2 as client libraries use it: tokens by both methods, the documents, and the lines of docs/api/auth.md."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError  # type: ignore[import-untyped]
from authlib.oauth2.rfc8414 import (  # type: ignore[import-untyped]
    AuthorizationServerMetadata,
    get_well_known_url,
)
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from tests.support.http import ask
from tests.support.manual import run_lines
from tests.support.system import System

RECIPIENT = "+15551230042"


def session(system: System, method: str, **more: Any) -> OAuth2Session:
    """Authlib's client as its manual shows it."""
    told = system.credentials
    made = OAuth2Session(
        told["client_id"],
        more.pop("secret", told["client_secret"]),
        token_endpoint=f"{system.base_url}/oauth2/token",
        token_endpoint_auth_method=method,
        **more,
    )
    made.trust_env = False
    return made


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlibs_client_gets_and_uses_a_token(system: System, method: str) -> None:
    def use() -> tuple[dict[str, Any], requests.Response]:
        with session(system, method, scope="sms:send") as client:
            token = client.fetch_token()
            sent = client.post(
                f"{system.base_url}/sendsms", data={"recipients": RECIPIENT, "message": "by token"}, timeout=15
            )
            return token, sent

    token, sent = await asyncio.to_thread(use)
    assert token["token_type"] == "Bearer"
    assert token["scope"] == "sms:send"
    assert sent.status_code == 200, sent.text
    await system.succeeded(sent.json()["result"]["id"])


async def test_authlibs_client_is_told_what_is_wrong(system: System) -> None:
    def fetch(secret: str | None = None, scope: str | None = None) -> str:
        more = {} if secret is None else {"secret": secret}
        with session(system, "client_secret_basic", scope=scope, **more) as client, pytest.raises(OAuthError) as told:
            client.fetch_token()
        return str(told.value.error)

    assert await asyncio.to_thread(fetch, "0" * 64) == "invalid_client"
    assert await asyncio.to_thread(fetch, None, "sms:fly") == "invalid_scope"


async def test_authlib_introspects_and_revokes(system: System) -> None:
    def use() -> list[bool]:
        with session(system, "client_secret_post") as client:
            token = client.fetch_token()["access_token"]
            introspect, revoke = f"{system.base_url}/oauth2/introspect", f"{system.base_url}/oauth2/revoke"
            active = [client.introspect_token(introspect, token=token).json()["active"]]
            assert client.revoke_token(revoke, token=token).status_code == 200
            return [*active, client.introspect_token(introspect, token=token).json()["active"]]

    assert await asyncio.to_thread(use) == [True, False]


async def test_rfc8414_3_the_metadata_and_every_address_in_it(system: System) -> None:
    address = get_well_known_url(system.base_url, external=True)
    found = (await ask(system.base_url, "GET", address.removeprefix(system.base_url))).json()
    AuthorizationServerMetadata(found).validate()
    assert found["issuer"] == system.base_url
    assert found["grant_types_supported"] == ["client_credentials"]
    addresses = {name: value for name, value in found.items() if name.endswith(("_endpoint", "_uri", "_documentation"))}
    assert set(addresses) == {
        "token_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "jwks_uri",
        "service_documentation",
    }
    for name, value in addresses.items():
        path = value.removeprefix(system.base_url)
        method = "POST" if name.endswith("_endpoint") else "GET"
        answer = await ask(system.base_url, method, path)
        assert answer.status == (401 if method == "POST" else 200), (name, answer)


async def test_rfc9068_4_others_can_verify_a_token_by_the_published_keys(system: System) -> None:
    def fetch() -> str:
        with session(system, "client_secret_basic") as client:
            return str(client.fetch_token()["access_token"])

    token = await asyncio.to_thread(fetch)
    keys = KeySet.import_key_set((await ask(system.base_url, "GET", "/.well-known/jwks.json")).json())
    assert all("d" not in key for key in keys.as_dict(private=False)["keys"])

    class EdDSA(JWSRegistry):
        def get_alg(self, name: str) -> Any:
            assert name == "EdDSA"
            return self.algorithms[name]

    read = jwt.decode(token, keys, registry=EdDSA())
    assert read.header["typ"] == "at+jwt"
    assert read.claims["iss"] == read.claims["aud"] == system.base_url
    assert read.claims["sub"] == read.claims["client_id"] == system.credentials["client_id"]


async def test_the_lines_of_the_manual_run(system: System, tmp_path: Path) -> None:
    names = ("base_url", "api_key", "client_id", "client_secret")
    await run_lines("api/auth.md", tmp_path, 4, **{name.upper(): system.credentials[name] for name in names})
