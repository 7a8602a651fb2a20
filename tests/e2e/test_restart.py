"""A second start finds everything that the first one had."""

import time

import pytest

from tests.support.system import running_system


@pytest.mark.timeout(180)
async def test_key_log_inbox_and_waiting_messages_survive_a_restart() -> None:
    async with running_system() as system:
        key = system.key
        sent = await system.send("before the restart")
        device = (await system.succeeded(sent))["sIdentifiantPhone"]
        await system.cli("phone", "receive", "--from", "+15551234567", "received before")
        waiting = await system.send("in time", schedule_timestamp=int(time.time()) + 3)
        await system.stop()
        assert system.processes() == {}
        await system.start_up()

        assert system.key == key
        assert key in system.screen
        (row,) = await system.log(guid_message=sent)
        assert (row["message"], row["status"]) == ("before the restart", "Success")
        assert [row["message"] for row in await system.inbox()] == ["received before"]
        again = await system.send("after the restart", sIdentifiant=device)
        await system.succeeded(again)
        await system.succeeded(waiting)
        assert sorted(line["message_id"] for line in system.radio()) == sorted([sent, again, waiting])
