"""What a program can ask of one message: a phone, a SIM, a time, and where it stands right after the 200."""

import json
import time

import pytest

from tests.support.http import FORM, connected, form, query
from tests.support.system import System
from tests.support.waiting import until

ASKED_AT_ONCE = 200


async def test_a_message_goes_by_the_phone_that_it_names(system: System) -> None:
    for phone in sorted((system.home / "phones").iterdir()):
        told = json.loads((phone / "connected").read_text())
        if not (phone / "phone.json").exists():
            guid = await system.send("by this phone, please", sIdentifiant=told["device"])
            row = await system.succeeded(guid)
            assert row["sIdentifiantPhone"] == told["device"]
            performed = (phone / "radio.jsonl").read_text()
            assert performed.count(guid) == 1
            assert len(system.radio(guid)) == 1


@pytest.mark.parametrize("port", ["1", "2"])
async def test_a_message_goes_by_the_sim_that_it_names(system: System, port: str) -> None:
    guids = [await system.send(f"by SIM {port}, number {n}", port=port) for n in range(10)]
    for guid in guids:
        assert (await system.succeeded(guid))["port"] == port
        (line,) = system.radio(guid)
        assert str(line["sim"]) == port


async def test_without_a_wish_both_sims_work(system: System) -> None:
    guids = [await system.send(f"by any SIM, number {n}") for n in range(40)]
    for guid in guids:
        await system.succeeded(guid)
    assert {line["sim"] for line in system.radio() if line["message_id"] in guids} == {1, 2}


async def test_the_log_knows_a_message_right_after_its_200(system: System) -> None:
    """Never no_record: the row may not be there yet, its id is answered for."""
    seen: dict[str, int] = {}
    async with connected(system.base_url) as connection:
        for n in range(ASKED_AT_ONCE):
            body = form(apikey=system.key, recipients="+15552220000", message=f"where are you, {n}?")
            sent = await connection.request("POST", "/sendsms/", body=body, headers=FORM)
            guid = sent.json()["result"]["id"]
            target = query("/log/sent/sms/", apikey=system.key, guid_message=guid)
            result = (await connection.request("GET", target)).json()["result"]
            assert result["error"] == 0, (n, result)
            (row,) = result["sms"]
            assert (row["guid"], row["send_from_mobile_erreur"], row["error_api"]) == (guid, "", "")
            seen[row["status"]] = seen.get(row["status"], 0) + 1
    assert set(seen) <= {"Pending", "Success"}
    await system.at_rest()


async def test_a_message_waits_for_its_time(system: System) -> None:
    due = int(time.time()) + 3
    guid = await system.send("in three seconds", schedule_timestamp=due)
    (row,) = await system.log(guid_message=guid)
    assert (row["status"], row["schedule_timestamp"]) == ("Pending", due)
    await system.succeeded(guid)
    (line,) = system.radio(guid)
    assert due * 1000 <= line["time"] < due * 1000 + 5000


async def test_a_waiting_message_can_be_canceled(system: System) -> None:
    guid = await system.send("never", schedule_timestamp=int(time.time()) + 3600)

    async def canceled() -> bool:
        return system.run("message", "cancel", guid).returncode == 0

    await until(canceled, "the message is canceled")
    (row,) = await system.log(guid_message=guid)
    assert (row["status"], row["error_api"]) == ("Error", "canceled")
    assert system.radio(guid) == []


async def test_several_recipients_are_several_messages(system: System) -> None:
    body = form(apikey=system.key, recipients="+15553330001,+15553330002;+15553330003", message="to all of you")
    result = (await system.post("/sendsms/", body)).json()["result"]
    assert result["ids"][0] == result["id"]
    assert len(set(result["ids"])) == 3
    numbers = {(await system.succeeded(guid))["number"] for guid in result["ids"]}
    assert numbers == {"+15553330001", "+15553330002", "+15553330003"}
    assert {line["number"] for line in system.radio(text="to all of you")} == numbers


@pytest.mark.parametrize("path", ["/sendsms", "/sendsms/"])
@pytest.mark.parametrize("where", ["query", "form", "both", "json"])
async def test_both_paths_take_parameters_from_everywhere(system: System, path: str, where: str) -> None:
    text = f"{path} {where}"
    parameters = {"apikey": system.key, "recipients": "+15554440001", "message": text}
    if where == "json":
        answer = await system.post(path, json.dumps(parameters).encode(), {"Content-Type": "application/json"})
    elif where == "query":
        answer = await system.post(query(path, **parameters), b"", {})
    elif where == "both":
        answer = await system.post(query(path, **parameters | {"message": "loses"}), form(message=text))
    else:
        answer = await system.post(path, form(**parameters))
    assert answer.status == 200, answer
    await system.succeeded(answer.json()["result"]["id"])
    assert len(system.radio(text=text)) == 1
