"""WhatsApp jobs, end to end: a simulated phone that was told to serve the channel sends what was asked for, once."""

from typing import Any

from tests.support.http import form
from tests.support.system import System, running_system
from tests.support.waiting import until

URL = "https://media.example/a.jpg"


async def test_a_phone_of_both_channels_sends_both() -> None:
    async with running_system(SMSFLEET_PHONE_CHANNELS="sms,whatsapp", SMSFLEET_PHONE_COUNT="1") as system:
        both = await send(system, text="both", sendwa="1", url_media=URL)
        alone = await send(system, text="alone", waonly="yes")
        sms, whatsapp = both["ids"]
        for guid in (sms, whatsapp, alone["id"]):
            await system.succeeded(guid)
        assert {line["message_id"]: line["channel"] for line in system.radio()} == {
            sms: "sms",
            whatsapp: "whatsapp",
            alone["id"]: "whatsapp",
        }
        again = await system.get("/resend/", system.key, guid=sms)
        assert again.json()["result"]["error"] == "not_in_error"

        async def deleted() -> bool:
            answer = await system.get("/deletesms/", system.key, guid_message=sms)
            return bool(answer.json()["result"]["deleted"] == "1")

        await until(deleted, "a sent message leaves the log")
        assert await system.log(guid_message=sms) == []


async def send(system: System, text: str, **parameters: str) -> dict[str, Any]:
    """The result of an accepted send."""
    body = form(apikey=system.key, recipients="+15551230000", message=text, **parameters)
    result: dict[str, Any] = (await system.post("/sendsms/", body)).json()["result"]
    assert (result["error"], result["send_with_whatsapp"]) == (0, "1"), result
    return result
