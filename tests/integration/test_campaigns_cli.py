"""The campaign commands, from a file of numbers to the running dispatcher's `work` and back."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from services.__main__ import DONE, FAILED, USAGE, main
from services.auth.app import open_service as open_auth
from services.auth.settings import AuthSettings
from services.dispatcher.app import open_service as open_dispatcher
from services.dispatcher.settings import DispatcherSettings
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.db.pool import Pool
from shared.runtime.settings import ServiceSettings
from tests.conftest import Eventually
from tests.support.dispatching import hello

Cli = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
async def cli(
    settings: ServiceSettings,
    nats_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Cli]:
    """Runs a command as the operator; gives its exit code and what it printed as JSON."""
    monkeypatch.setenv("SMSFLEET_HOME", str(tmp_path))
    monkeypatch.setenv("SMSFLEET_NATS_URL", settings.nats_url)
    monkeypatch.setenv("SMSFLEET_NATS_NKEY_FILE", settings.nats_nkey_file or "")

    async def run(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = await asyncio.to_thread(main, [*words, "--json"])
        said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        return code, json.loads(said[-1])

    values = msgspec.to_builtins(settings)
    async with (
        open_auth(msgspec.convert(values, AuthSettings)),
        open_dispatcher(msgspec.convert(values, DispatcherSettings)),
    ):
        await run("account", "create", "default")
        yield run


async def test_a_file_becomes_a_campaign_that_can_be_paused_resumed_and_canceled(
    cli: Cli, pool: Pool, tmp_path: Path, eventually: Eventually
) -> None:
    file = tmp_path / "numbers.csv"
    # 1,203 rows are three calls; a spreadsheet begins the file with a byte order mark.
    numbers = "".join(f"+1555{n:06}\n" for n in range(1203))
    file.write_text("number\n" + numbers, encoding="utf-8-sig")
    code, made = await cli("campaign", "create", str(file), "--text", "hello", "--valid-days", "1")
    assert code == DONE
    assert (made["name"], made["status"], made["total"], made["valid_s"]) == ("numbers.csv", "active", 1203, 86_400)

    async def in_work(state: str, count: int) -> None:
        async def so() -> bool:
            return bool(await pool.fetchval("select count(*) from work where state = $1", state) == count)

        await eventually(so)

    await in_work("ready", 1000)
    assert (await cli("campaign", "pause", made["id"]))[1]["status"] == "paused"
    await in_work("later", 1000)
    assert (await cli("campaign", "resume", made["id"]))[1]["status"] == "active"
    await in_work("ready", 1000)
    code, canceled = await cli("campaign", "cancel", made["id"])
    assert (code, canceled["status"]) == (DONE, "canceled")
    await in_work("ready", 0)

    async def ended() -> Any:
        shown = (await cli("campaign", "show", made["id"]))[1]
        return shown if shown["ended_at"] else None

    shown: Any = await eventually(ended)
    assert (shown["unfed"], shown["canceled"], shown["working"]) == (203, 1000, 0)
    _, listed = await cli("campaign", "list")
    assert [each["id"] for each in listed["campaigns"]] == [made["id"]]
    code, refused = await cli("campaign", "resume", made["id"])
    assert (code, refused["code"]) == (FAILED, "over")


async def test_a_phone_is_woken_for_a_campaign(cli: Cli, nats_client: Client, pool: Pool, tmp_path: Path) -> None:
    account = await pool.fetchval("select id from accounts")
    greeting = hello(account=account)
    await RpcClient(nats_client).ask(registry.DISPATCHER_HELLO, greeting)
    wakes = await nats_client.subscribe(registry.wake_subject(greeting.device))
    file = tmp_path / "numbers.csv"
    file.write_text('number,text\r\n+15550001,"own, text"\r\n')
    assert (await cli("campaign", "create", str(file)))[0] == DONE
    await wakes.next_msg(timeout=5)
    assert await pool.fetchval("select text from messages") == "own, text"


async def test_a_bad_row_in_any_call_sends_nothing_and_is_named_by_its_line(
    cli: Cli, pool: Pool, tmp_path: Path
) -> None:
    file = tmp_path / "numbers.csv"
    lines = [f"+1555{n:06},hi {n}" for n in range(700)]
    lines[650] = "not a number!,hi"
    lines[651] = "+15550001,"
    file.write_text("number,text\n" + "\n".join(lines) + "\n")
    code, refused = await cli("campaign", "create", str(file))
    assert (code, refused["code"]) == (FAILED, "invalid_rows")
    assert "line 652: The recipient is not a phone number." in refused["error"]
    assert "line 653: The message is missing." in refused["error"]
    (row,) = await pool.fetch("select status, fed from campaigns")
    assert tuple(row) == ("canceled", 0)
    await cli("account", "set", "default", "--region", "BE", "--max-parts", "1")
    file.write_text("number,text\n0470123456,short\n0470123457," + "long " * 40 + "\n")
    code, refused = await cli("campaign", "create", str(file))
    assert "line 3: The message has 2 parts and the account allows 1." in refused["error"]
    file.write_text("number\n0470123456\n")
    assert (await cli("campaign", "create", str(file), "--text", "hi"))[0] == DONE
    assert await pool.fetchval("select count(*) from campaign_rows where recipient = '+32470123456'") == 1


FILES = {
    "no header": b"+15550001\n",
    "another column": b"number,name\n+15550001,me\n",
    "too many fields": b"number\n+15550001,hello\n",
    "not UTF-8": b"number\n\xff\xfe\n",
    "an open quote": b'number\n"+15550001\n',
    "empty": b"",
}


async def test_a_file_that_is_none_is_refused(cli: Cli, pool: Pool, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    for what, content in FILES.items():
        file.write_bytes(content)
        code, refused = await cli("campaign", "create", str(file), "--text", "hello")
        assert (code, refused["code"]) == (FAILED, "invalid_file"), what
    file.write_text("number\n")
    assert (await cli("campaign", "create", str(file), "--text", "hello"))[1]["code"] == "invalid_rows"
    assert (await cli("campaign", "create", str(tmp_path / "none.csv")))[1]["code"] == "invalid_file"
    assert await pool.fetchval("select count(*) from campaigns where status <> 'canceled'") == 0
    assert (await cli("campaign", "show", "cmp_none"))[1]["code"] == "not_found"
    with pytest.raises(SystemExit) as ended:
        main(["campaign", "create", str(file), "--at", "tomorrow"])
    assert ended.value.code == USAGE


async def test_people_see_progress_and_a_table(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("number\n+15550001\n")
    assert await asyncio.to_thread(main, ["campaign", "create", str(file), "--text", "hi", "--name", "sale"]) == DONE
    assert "sends to 1 numbers" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["campaign", "list"]) == DONE
    head, row = capsys.readouterr().out.strip().splitlines()[-2:]
    assert head.split()[:3] == ["ID", "NAME", "STATUS"]
    assert row.split()[1:4] == ["sale", "active", "1"]
