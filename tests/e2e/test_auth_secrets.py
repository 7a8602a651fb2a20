"""No secret that a run makes is found afterwards where it does not belong: logs, processes, answers, events, rows."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import CreateAccount, CreateKey, RotateKey
from shared.contracts.rpc.clients import CreateClient, CreateEnrolmentKey, RotateClient
from shared.contracts.rpc.people import CheckUser, CreateUser
from shared.errors import SmsFleetError
from tests.support.http import FORM, Response, ask, form
from tests.support.scripted import ScriptedPhone
from tests.support.system import System


class Run:
    """One end-to-end run: what it made, and what it was told."""

    def __init__(self, system: System, rpc: RpcClient) -> None:
        self.system = system
        self._rpc = rpc
        self.made: dict[str, str] = {}
        """Every secret by what it is."""
        self.told: list[bytes] = []
        """Every answer that shows no secret on purpose."""

    async def do(self) -> None:
        """Makes one of each kind, uses it rightly and wrongly, changes it."""
        made = await self._rpc.ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name=f"secrets {secrets.token_hex(4)}"))
        account = made.account
        self.made |= {"first key": made.api_key, "enrolment key": made.enrolment_key}
        key = await self._rpc.ask(registry.AUTH_KEY_CREATE, CreateKey(account=account, name="k"))
        rotated = await self._rpc.ask(registry.AUTH_KEY_ROTATE, RotateKey(account=account, id=key.id))
        self.made |= {"key": key.api_key, "rotated key": rotated.api_key}
        enrolment = await self._rpc.ask(registry.AUTH_ENROLMENT_CREATE, CreateEnrolmentKey(account=account))
        self.made["single-use key"] = next(value for value in _texts(enrolment) if len(value) == 64)
        client = await self._rpc.ask(registry.AUTH_CLIENT_CREATE, CreateClient(account=account, name="c"))
        again = RotateClient(account=account, client_id=client.client_id, overlap_s=60)
        renewed = await self._rpc.ask(registry.AUTH_CLIENT_ROTATE, again)
        self.made |= {"secret": client.client_secret, "rotated secret": renewed.client_secret}
        await self._user(account)
        await self._tokens(client.client_id)
        await self._phone()
        await self._mistakes(client.client_id)

    async def _user(self, account: int) -> None:
        password, wrong = secrets.token_hex(12), secrets.token_hex(12)
        login = f"u{secrets.token_hex(4)}@example.org"
        self.made |= {"password": password, "wrong password": wrong}
        await self._rpc.ask(
            registry.AUTH_USER_CREATE, CreateUser(account=account, login=login, role="owner", password=password)
        )
        await self._rpc.ask(registry.AUTH_USER_CHECK, CheckUser(login=login, password=password, address="192.0.2.1"))
        with pytest.raises(SmsFleetError):
            await self._rpc.ask(registry.AUTH_USER_CHECK, CheckUser(login=login, password=wrong, address="192.0.2.1"))

    async def _tokens(self, client_id: str) -> None:
        for name in ("secret", "rotated secret"):
            got = await self._post(
                "/oauth2/token", grant_type="client_credentials", client_id=client_id, client_secret=self.made[name]
            )
            assert got.status == 200, got
            self.made[f"token by {name}"] = got.json()["access_token"]
        shown = {"Authorization": f"Bearer {self.made['token by secret']}"}
        self._keep(await ask(self.system.base_url, "GET", "/v1/account", headers=shown))
        for path in ("/oauth2/introspect", "/oauth2/revoke", "/oauth2/introspect"):
            credentials = {"client_id": client_id, "client_secret": self.made["rotated secret"]}
            self._keep(await self._post(path, token=self.made["token by secret"], **credentials))
        self._keep(await ask(self.system.base_url, "GET", "/v1/account", headers=shown))

    async def _phone(self) -> None:
        async with ScriptedPhone(self.system.base_url, self.made["enrolment key"]) as phone:
            assert phone._token is not None
            self.made["device token"] = phone._token
            guid = await self.system.send("no secret", key=self.made["rotated key"])
            await self.system.succeeded(guid, self.made["rotated key"])

    async def _mistakes(self, client_id: str) -> None:
        """Good and half-good secrets in the wrong places."""
        for secret in self.made.values():
            self._keep(await self.system.get("/getsms/", secret + "0"))
            self._keep(await self.system.get(f"/sendsms/{secret}", secret))
            self._keep(await ask(self.system.base_url, "GET", "/v1/account", headers={"Authorization": f"X {secret}"}))
            for path in ("/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"):
                self._keep(await self._post(path, client_id=client_id, client_secret=secret + "0", token=secret))
                self._keep(await self._post(path, grant_type=secret, client_id=secret, client_secret=secret))
        for words in (("key", "list"), ("client", "list"), ("account", "list"), ("key", "show", "none")):
            done = await asyncio.to_thread(self.system.run, *words)
            self.told.append(f"{done.stdout}{done.stderr}".encode())

    async def _post(self, path: str, **fields: str) -> Response:
        return await ask(self.system.base_url, "POST", path, body=form(**fields), headers=FORM)

    def _keep(self, answer: Response) -> None:
        self.told += [answer.body, repr(answer.headers).encode()]


def _texts(answer: Any) -> Iterator[str]:
    yield from (str(getattr(answer, name)) for name in answer.__struct_fields__)


def processes() -> Iterator[tuple[str, bytes]]:
    """Arguments and environments of all processes, as `ps eww` shows them to their owner (Linux)."""
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                yield f"{name} of {folder.name}", (folder / name).read_bytes()
            except OSError:
                continue


async def rows(database_url: str) -> bytes:
    """All that is in the database, as text."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        tables = await connection.fetch(
            "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'public'"
        )
        found = [await connection.fetch(f"select t::text as row from {table['name']} t") for table in tables]
    finally:
        await connection.close()
    return "\n".join(str(row["row"]) for some in found for row in some).encode()


async def test_no_secret_is_found_where_it_does_not_belong(system: System) -> None:
    told = system.connections
    client = await system.nats()
    run = Run(system, RpcClient(client))
    await run.do()
    places = dict(processes())
    places |= {file.name: file.read_bytes() for file in (system.home / "logs").iterdir()}
    places |= {"run.json": json.dumps(system.state).encode(), "its screen": system.screen.encode()}
    places["the database"] = await rows(told["database_url"])
    await client.close()
    places["answers"] = b"\n".join(run.told)
    assert len(run.made) == 12
    assert "gateway.log" in places
    assert b"sms.sent" in places["the database"], "the events are among the rows"
    found = [
        f"{name} in {place}"
        for name, secret in run.made.items()
        for place, content in places.items()
        if secret.encode() in content
    ]
    assert found == []
