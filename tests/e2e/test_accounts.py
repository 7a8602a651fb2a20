"""An account sees and touches nothing of another one."""

import json
import secrets
from typing import Any

import pytest

from tests.support.http import form
from tests.support.system import System
from tests.support.waiting import until


@pytest.fixture(scope="module")
async def other(system: System) -> dict[str, Any]:
    """A second account with a key and a phone of its own."""
    made: dict[str, Any] = await system.cli("account", "create", f"other-{secrets.token_hex(4)}")
    await system.healthy()
    return made


async def test_what_one_account_sends_no_other_sees(system: System, other: dict[str, Any]) -> None:
    guid = await system.send("mine alone")
    assert await system.log(other["api_key"], guid_message=guid) == []
    await system.succeeded(guid)
    assert await system.log(other["api_key"], guid_message=guid) == []
    assert guid not in {row["guid"] for row in await system.log(other["api_key"])}


async def test_each_account_sends_by_its_own_phone(system: System, other: dict[str, Any]) -> None:
    text = "by my own phone"
    guid = await system.send(text, key=other["api_key"])
    row = await system.succeeded(guid, other["api_key"])
    assert await system.log(guid_message=guid) == []
    homes = [phone for phone in (system.home / "phones").iterdir() if guid in _text(phone / "radio.jsonl")]
    assert [_device(phone) for phone in homes] == [row["sIdentifiantPhone"]]
    assert homes[0].name not in ("phone-1", "phone-2")


async def test_no_account_can_name_the_phone_of_another(system: System, other: dict[str, Any]) -> None:
    device = _device(system.home / "phones" / "phone-1")
    body = form(apikey=other["api_key"], recipients="+15550000001", message="not mine", sIdentifiant=device)
    result = (await system.post("/sendsms/", body)).json()["result"]
    assert (result["error"], result["sent"], result["id"]) == (2, "no", None)
    assert system.radio(text="not mine") == []


async def test_a_received_text_belongs_to_its_phones_account(system: System, other: dict[str, Any]) -> None:
    await system.cli("phone", "receive", "--name", "phone-1", "--from", "+15551231234", "for the first account")

    async def arrived() -> bool:
        return any(row["message"] == "for the first account" for row in await system.inbox())

    await until(arrived, "the text is in the first account's inbox")
    assert await system.inbox(other["api_key"]) == []


async def test_the_keys_of_an_account_work_until_they_are_revoked(system: System, other: dict[str, Any]) -> None:
    made = await system.cli("key", "create", "one more", "--account", other["name"])
    assert await system.inbox(made["api_key"]) == []
    await system.cli("key", "revoke", made["id"], "--account", other["name"])

    async def refused() -> bool:
        return (await system.get("/getsms/", made["api_key"])).status == 403

    await until(refused, "the revoked key is refused", within_s=5)
    assert await system.inbox(other["api_key"]) == []


def _device(phone: Any) -> str:
    return str(json.loads((phone / "connected").read_text())["device"])


def _text(file: Any) -> str:
    return str(file.read_text()) if file.exists() else ""
