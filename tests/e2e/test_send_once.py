"""A key of the caller's is sent once: on any replica, whoever asks at the same moment, and whatever dies meanwhile."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.js import JetStreamContext

from shared.contracts.registry import COMMANDS, IDEMPOTENCY
from tests.support import scale
from tests.support.gateways import Gateway
from tests.support.http import FORM, Broken, Response, ask, connect, form
from tests.support.system import System, running_system
from tests.support.waiting import until

REQUESTS = scale.scaled(small=100, one=300, full=1000)
CONNECTIONS = 64
ROUNDS = scale.scaled(small=1, one=2, full=20)
SENDS = 48
NUMBER = "+15557770000"
WAYS = ("Idempotency-Key", "client_ref")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
async def system() -> AsyncIterator[System]:
    """A system of these tests' own: they freeze and fill parts of it."""
    async with running_system(SMSFLEET_PHONE_COUNT="2") as running:
        yield running


@pytest.fixture(scope="module")
async def second(system: System) -> AsyncIterator[Gateway]:
    """A second gateway of the same installation."""
    gateway = Gateway(system)
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
async def jetstream(system: System) -> AsyncIterator[JetStreamContext]:
    """JetStream, with every right."""
    client = await system.nats()
    yield client.jetstream()
    await client.close()


def request(system: System, way: str, key: str, text: str, to: str = NUMBER) -> dict[str, Any]:
    """Body and headers of a send with a key."""
    more = {"client_ref": key} if way == "client_ref" else {}
    headers = {"Idempotency-Key": key} if way == "Idempotency-Key" else {}
    body = form(apikey=system.key, recipients=to, message=text, **more)
    return {"body": body, "headers": FORM | headers}


def accepted(answer: Response) -> str:
    """The id of an accepted send."""
    assert answer.status == 200, answer
    result = answer.json()["result"]
    assert (result["error"], result["sent"]) == (0, "1"), result
    return str(result["id"])


async def performed_once(system: System, guid: str, text: str) -> None:
    """Waits until the message was sent and nothing more can come of it; it was sent once, under its id."""
    await system.succeeded(guid)
    await system.at_rest()
    assert [line["message_id"] for line in system.radio(text=text)] == [guid]


@pytest.mark.parametrize("way", WAYS)
async def test_many_at_once_on_two_replicas_send_once(system: System, second: Gateway, way: str) -> None:
    key = secrets.token_hex(8)
    text = f"{way} {key}"
    left = iter(range(REQUESTS))
    answers: list[Response] = []

    async def caller(base_url: str) -> None:
        connection = await connect(base_url)
        try:
            for _ in left:
                answer = await connection.request("POST", "/sendsms/", **request(system, way, key, text))
                answers.append(answer)
        finally:
            await connection.close()

    bases = (system.base_url, second.base_url)
    async with asyncio.timeout(60):
        await asyncio.gather(*(caller(bases[number % 2]) for number in range(CONNECTIONS)))
    assert len(answers) == REQUESTS
    (guid,) = {accepted(answer) for answer in answers}
    assert len({answer.body for answer in answers}) == 1, "the whole answer is the same, its time too"
    await performed_once(system, guid, text)
    assert [row["guid"] for row in await system.log(keyword=key)] == [guid]


@pytest.mark.parametrize("way", WAYS)
async def test_the_same_key_with_other_content_is_refused(system: System, second: Gateway, way: str) -> None:
    key = secrets.token_hex(8)
    text = f"first {way} {key}"
    guid = accepted(await ask(system.base_url, "POST", "/sendsms/", **request(system, way, key, text)))
    for other in (
        request(system, way, key, f"other {key}"),
        request(system, way, key, text, to="+15557770001"),
        request(system, way, key, text, to=f"{NUMBER},+15557770001"),
    ):
        for base_url in (system.base_url, second.base_url):
            answer = await ask(base_url, "POST", "/sendsms/", **other)
            assert answer.status == 422, answer
            told = answer.json()
            assert told["error"] == told["result"]["error"] == "idempotency_key_reused"
            assert (told["result"]["sent"], told["result"]["id"]) == ("no", None)
    assert accepted(await ask(second.base_url, "POST", "/sendsms/", **request(system, way, key, text))) == guid
    await performed_once(system, guid, text)
    assert [row["guid"] for row in await system.log(keyword=key)] == [guid], "nothing was sent of what was refused"


async def test_several_recipients_keep_all_their_ids(system: System, second: Gateway) -> None:
    key = secrets.token_hex(8)
    numbers = [f"+1555888{number:04}" for number in range(20)]
    asked = request(system, "Idempotency-Key", key, f"to many {key}", to=",".join(numbers))
    answers = await asyncio.gather(
        *(ask(base, "POST", "/sendsms/", **asked) for base in (system.base_url, second.base_url) * 4)
    )
    (ids,) = {tuple(answer.json()["result"]["ids"]) for answer in answers}
    assert len(set(ids)) == len(numbers)
    await asyncio.gather(*(system.succeeded(guid) for guid in ids))
    await system.at_rest()
    assert sorted(line["message_id"] for line in system.radio(text=f"to many {key}")) == sorted(ids)
    assert [(await system.log(guid_message=guid))[0]["number"] for guid in ids] == numbers


async def test_it_is_one_across_a_restart_of_the_gateway(system: System, second: Gateway) -> None:
    key = secrets.token_hex(8)
    asked = request(system, "client_ref", key, f"across {key}")
    guid = accepted(await ask(second.base_url, "POST", "/sendsms/", **asked))
    await second.kill()
    await second.start()
    assert accepted(await ask(second.base_url, "POST", "/sendsms/", **asked)) == guid
    await performed_once(system, guid, f"across {key}")


async def test_it_works_while_postgres_is_away(system: System, second: Gateway) -> None:
    key = secrets.token_hex(8)
    asked = request(system, "Idempotency-Key", key, f"without a database {key}")
    with system.halted("postgres"):
        answers = [
            await ask(base, "POST", "/sendsms/", **asked)
            for base in (system.base_url, second.base_url, system.base_url)
        ]
        other = request(system, "Idempotency-Key", key, "other")
        refused = await ask(second.base_url, "POST", "/sendsms/", **other)
    (guid,) = {accepted(answer) for answer in answers}
    assert refused.status == 422, refused
    await system.healthy()
    await performed_once(system, guid, f"without a database {key}")


@contextlib.asynccontextmanager
async def full(jetstream: JetStreamContext) -> AsyncIterator[None]:
    """COMMANDS takes nothing more for the context's time, as a full disk would have it."""
    config = (await jetstream.stream_info(COMMANDS.name)).config
    room = config.max_bytes
    config.max_bytes = 1
    await jetstream.update_stream(config)
    try:
        yield
    finally:
        config.max_bytes = room
        await jetstream.update_stream(config)


async def entries(jetstream: JetStreamContext) -> int:
    """How many keys have an entry."""
    return (await jetstream.stream_info(IDEMPOTENCY.stream)).state.messages


@pytest.mark.parametrize("retry", ["the other gateway", "the same gateway, started again"])
async def test_killed_between_entry_and_publish(
    system: System, second: Gateway, jetstream: JetStreamContext, retry: str
) -> None:
    """The entry can be made and the command cannot: there the gateway is killed, and its caller comes again."""
    key = secrets.token_hex(8)
    text = f"between {key}"
    asked = request(system, "Idempotency-Key", key, text)
    before = await entries(jetstream)
    async with full(jetstream):
        first = asyncio.create_task(ask(second.base_url, "POST", "/sendsms/", **asked))

        async def entered() -> bool:
            return await entries(jetstream) == before + 1

        await until(entered, "the key has its entry")
        await second.kill()
        with contextlib.suppress(Broken, ConnectionError):
            answer = await first
            assert answer.status == 503, answer
    assert system.radio(text=text) == []
    await second.start()
    base_url = system.base_url if retry == "the other gateway" else second.base_url
    guid = accepted(await ask(base_url, "POST", "/sendsms/", **asked))
    assert await entries(jetstream) == before + 1
    await performed_once(system, guid, text)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_killed_at_a_random_moment(system: System, second: Gateway, number: int) -> None:
    """Whatever the killed gateway had done with each key: who got an id gets it again, and each text is sent once."""
    start = scale.seed()
    rng = random.Random(f"{start} {number}")
    name = secrets.token_hex(6)
    texts = [f"killed {name} {each:03}" for each in range(SENDS)]
    known: dict[str, str] = {}
    killed = asyncio.Event()

    async def sender(text: str) -> None:
        asked = request(system, "client_ref", text, text)
        with contextlib.suppress(Broken, ConnectionError):
            known[text] = accepted(await ask(second.base_url, "POST", "/sendsms/", **asked))
        if len(known) >= moment and not killed.is_set():
            killed.set()
            await second.kill()

    moment = rng.randrange(1, SENDS // 2)
    left = iter(texts)

    async def caller() -> None:
        for text in left:
            await sender(text)

    async with asyncio.timeout(60):
        await asyncio.gather(*(caller() for _ in range(16)))
    assert killed.is_set()
    assert len(known) < SENDS, f"seed {start}: the kill came too late"
    again = await asyncio.gather(
        *(ask(system.base_url, "POST", "/sendsms/", **request(system, "client_ref", text, text)) for text in texts)
    )
    ids = {text: accepted(answer) for text, answer in zip(texts, again, strict=True)}
    assert {text: ids[text] for text in known} == known
    await second.start()
    for text in texts:
        await system.succeeded(ids[text])
    await system.at_rest()
    lines = [line for line in system.radio() if line["message_id"] in ids.values()]
    assert sorted(line["message_id"] for line in lines) == sorted(ids.values()), f"seed {start}"
    for text in texts:
        assert len(system.radio(text=text)) == 1, (start, text)
