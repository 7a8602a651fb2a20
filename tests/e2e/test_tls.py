"""`up` with TLS for a LAN: under a certificate authority of its own, everything goes through Caddy as without it."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from deploy.local.caddy import root_certificate
from deploy.local.paths import PROJECT, Home
from deploy.local.ports import free_port
from tests.support.local import Installation
from tests.support.system import ONE_ADDRESS, QUICK_PHONE
from tests.support.waiting import until

TO_LISTEN_S = 10.0
PASSES_S = 5.0

pytestmark = pytest.mark.timeout(180)


@dataclass
class Behind:
    """An installation behind its Caddy, as a client sees it that has installed the root certificate."""

    installation: Installation
    port: int
    ca_port: int
    started: dict[str, Any]

    @property
    def root(self) -> Path:
        """The root certificate."""
        return root_certificate(Home(self.installation.home))

    def context(self) -> ssl.SSLContext:
        """Trusts that one and no other."""
        return ssl.create_default_context(cafile=self.root)

    def ask(self, method: str, path: str, body: str = "", source: str = "127.0.0.1", **headers: str) -> tuple[int, Any]:
        """Status and JSON of one request by https to this machine's name, from a loopback address."""
        connection = http.client.HTTPSConnection(
            "localhost", self.port, context=self.context(), timeout=15, source_address=(source, 0)
        )
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def plain(self, path: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        """What is there without TLS."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.ca_port, timeout=15)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def send(self, text: str, **more: str) -> str:
        """The guid of an accepted text."""
        form = {"apikey": self.installation.credentials["api_key"], "recipients": "+15551237100", "message": text}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        status, told = self.ask("POST", "/sendsms/", urlencode({**form, **more}), **kind)
        assert (status, told["result"]["error"]) == (200, 0), told
        return str(told["result"]["id"])


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    port, ca_port = free_port(), free_port()
    settings = {
        **QUICK_PHONE,
        **ONE_ADDRESS,
        "SMSFLEET_TLS": "internal",
        "SMSFLEET_TLS_PORT": str(port),
        "SMSFLEET_TLS_CA_PORT": str(ca_port),
        "SMSFLEET_TLS_NAMES": "sms.home.arpa",
        "SMSFLEET_PHONE": "0",
    }
    installation = Installation(tmp_path_factory.mktemp("tls") / "home", **settings)
    try:
        yield Behind(installation, port, ca_port, installation.up())
    finally:
        installation.remove()


def test_it_starts_quickly_and_tells_where_phones_find_it(behind: Behind) -> None:
    assert behind.started["phases"]["tls"] < TO_LISTEN_S
    # Programs on this machine need not trust anything.
    assert behind.started["base_url"] == f"http://127.0.0.1:{behind.installation.port}"
    known = behind.installation.credentials
    assert known["public_url"] == f"https://sms.home.arpa:{behind.port}"
    assert known["ca_url"] == f"http://sms.home.arpa:{behind.ca_port}/"
    enrolled = behind.installation.run("enrol", "--json", "--no-wait")
    told = json.loads(enrolled.stdout)
    assert (told["api_url"], told["ca_url"]) == (f"{known['public_url']}/mobile/v1", known["ca_url"])


def test_the_certificate_is_for_names_and_addresses_and_for_nobody_else(behind: Behind) -> None:
    assert behind.ask("GET", "/health/ready")[0] == 200
    names = ("sms.home.arpa", "localhost")
    for name in names:
        with behind.context().wrap_socket(_dialled(behind.port), server_hostname=name) as link:
            assert link.version() in ("TLSv1.2", "TLSv1.3")
    # An address is asked for by dialling it.
    with behind.context().wrap_socket(_dialled(behind.port), server_hostname="127.0.0.1") as link:
        certificate = link.getpeercert()
        assert certificate is not None
        assert ("IP Address", "127.0.0.1") in certificate["subjectAltName"]
    with pytest.raises(ssl.SSLError):
        behind.context().wrap_socket(_dialled(behind.port), server_hostname="elsewhere.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(_dialled(behind.port), server_hostname="localhost")


def _dialled(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=15)


def test_doctor_looks_through_it(behind: Behind) -> None:
    done = behind.installation.run("doctor", "--json")
    told = json.loads(done.stdout)
    assert told["well"] is True, done.stdout
    seen = {each["subject"]: each["detail"] for each in told["findings"]}
    assert seen["tls"].startswith(f"port {behind.port} answers")
    assert {"caddy", "caddy program"} <= set(seen)
    hidden = behind.root.rename(behind.root.with_suffix(".away"))
    try:
        told = json.loads(behind.installation.run("doctor", "--json").stdout)
    finally:
        hidden.rename(behind.root)
    assert {"bad"} == {each["verdict"] for each in told["findings"] if each["subject"] == "tls"}


def test_a_phone_gets_the_root_certificate_without_trusting_anybody_yet(behind: Behind) -> None:
    status, headers, certificate = behind.plain("/ca.crt")
    assert (status, headers["Content-Type"]) == (200, "application/x-x509-ca-cert")
    assert certificate == behind.root.read_bytes()
    status, headers, page = behind.plain("/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    binary = ssl.PEM_cert_to_DER_cert(certificate.decode())
    assert hashlib.sha256(binary).digest().hex(":").upper() in page.decode()
    assert b"<svg" in page


@pytest.mark.parametrize("path", ["/root.key", "/pki/authorities/local/root.key", "/../root.key", "/%2e%2e/root.key"])
def test_its_key_is_not_to_be_had(behind: Behind, path: str) -> None:
    status, _, told = behind.plain(path)
    assert status in (400, 404)
    assert b"PRIVATE KEY" not in told


def test_the_gateway_hears_the_callers_own_address(behind: Behind) -> None:
    claimed = {"X-Forwarded-For": "203.0.113.9"}
    status, told = behind.ask("GET", "/mobile/v1/device", source="127.0.0.2", **claimed)
    assert (status, told["externalIp"]) == (200, "127.0.0.2")


@contextlib.asynccontextmanager
async def phone(behind: Behind) -> AsyncIterator[Path]:
    """A simulated phone that reaches the gateway through Caddy; its folder."""
    home = behind.installation.home / "phones" / "far"
    environment = behind.installation.environment(
        SSL_CERT_FILE=str(behind.root),
        SMSFLEET_PHONE_URL=f"wss://localhost:{behind.port}/phone/v1/socket",
        SMSFLEET_PHONE_ENROLMENT_KEY=behind.installation.credentials["enrolment_key"],
        SMSFLEET_PHONE_HOME=str(home),
        SMSFLEET_PHONE_NAME="far",
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", cwd=PROJECT, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield home
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


async def test_a_phone_and_a_program_meet_through_it_also_after_it_was_killed(behind: Behind) -> None:
    async with phone(behind) as home:

        async def connected() -> bool:
            return (home / "connected").exists()

        await until(connected, "the phone is connected through Caddy")
        await delivered(behind, await asyncio.to_thread(behind.send, "through TLS"))
        before = behind.installation.service("caddy")["pid"]
        os.kill(before, signal.SIGKILL)

        async def answers() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return (await asyncio.to_thread(behind.ask, "GET", "/health/ready"))[0] == 200
            return False

        await until(answers, "Caddy is started again")
        assert behind.installation.service("caddy")["pid"] != before
        await delivered(behind, await asyncio.to_thread(behind.send, "and again"))


async def delivered(behind: Behind, guid: str) -> None:
    async def story() -> bool:
        shown = await asyncio.to_thread(behind.installation.run, "message", "show", guid, "--json")
        return shown.returncode == 0 and json.loads(shown.stdout)["state"] == "delivered"

    await until(story, "the text is delivered", 30)


async def test_events_reach_an_app_at_once(behind: Behind) -> None:
    key = {"Authorization": f"Bearer {behind.installation.credentials['enrolment_key']}"}
    told = json.dumps({"name": "Maker/model", "simCards": [{"slotIndex": 0, "simNumber": 1}]})
    status, device = await asyncio.to_thread(behind.ask, "POST", "/mobile/v1/device", told, **key)
    assert status == 201, device
    reader, writer = await asyncio.open_connection("localhost", behind.port, ssl=behind.context())
    try:
        host = urlsplit(behind.installation.credentials["public_url"]).netloc
        head = f"GET /mobile/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {device['token']}\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(PASSES_S):
            assert (await reader.readline()).split()[1] == b"200"
        await asyncio.to_thread(behind.send, "for the app", sIdentifiant=device["id"])
        async with asyncio.timeout(PASSES_S):
            while not (await reader.readline()).startswith(b"event: MessageEnqueued"):
                pass
    finally:
        writer.transport.abort()
        await asyncio.to_thread(behind.installation.run, "phone", "remove", device["id"])
