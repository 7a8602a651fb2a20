"""A program that uses /v1 of a gateway under test, with a key of its own."""

import json
from typing import Any

from shared.contracts.rpc.auth import Verdict
from shared.security.secrets import digest
from tests.support.gateway import Gateway
from tests.support.http import Response

SCOPES = ["webhooks:manage", "sms:read"]


class Program:
    """A caller of one account."""

    def __init__(self, gateway: Gateway, account: int, scopes: list[str] | None = None) -> None:
        self._gateway = gateway
        self.key = f"{account}:{scopes}".encode().hex()
        verdict = Verdict(
            epoch=0, account=account, subject=f"key_{account}", scopes=SCOPES if scopes is None else scopes
        )
        gateway.auth.accounts[digest(self.key)] = verdict

    async def ask(self, method: str, path: str, body: Any = b"") -> Response:
        """The answer; `body` is JSON unless it is bytes already."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return await self._gateway.ask(method, path, body=raw, headers=headers)

    async def done(self, method: str, path: str, body: Any = b"", status: int = 200) -> Any:
        """What it answered, which must be this success."""
        answer = await self.ask(method, path, body)
        assert answer.status == status, answer
        return answer.json()

    async def refused(self, method: str, path: str, body: Any, status: int, code: str) -> dict[str, Any]:
        """The problem, which must be this one (RFC 9457)."""
        answer = await self.ask(method, path, body)
        assert answer.status == status, answer
        return problem(answer, code)


def problem(answer: Response, code: str) -> dict[str, Any]:
    """The problem that an answer is, with this code."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    told: dict[str, Any] = json.loads(answer.body)
    assert set(told) == {"type", "title", "status", "detail", "code"}
    assert (told["status"], told["code"], told["type"]) == (answer.status, code, "about:blank"), told
    return told
