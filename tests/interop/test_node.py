"""Libraries and receivers in Node accept what we sign."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from services.webhooks.signing import new_secret, sign
from tests.support.dashboards import Dashboard
from tests.support.receivers import BODY, EXAMPLE_RECEIVERS, keeps_its_promises, takes_a_real_delivery
from tests.support.samples import TEXT, lines_of, made, printed
from tests.support.system import System

COMMAND = ["node", str(EXAMPLE_RECEIVERS / "node" / "receiver.mjs"), "PORT"]

PACKAGES = {"standardwebhooks": "1.1.1", "svix": "2.5.0"}

VERIFY = """
import { readFileSync } from "node:fs";
const { library, secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
const { Webhook } = await import(library);
try {
  new Webhook(secret).verify(body, headers);
  console.log("accepted");
} catch (error) {
  console.log(error.constructor.name === "WebhookVerificationError" ? "refused" : error.stack);
}
"""


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script beside the installed libraries."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
    install = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    script = folder / "verify.mjs"
    script.write_text(VERIFY)
    return script


@pytest.mark.parametrize("library", PACKAGES)
def test_a_library_accepts_either_of_two_secrets_and_no_other(verifier: Path, library: str) -> None:
    new, old, stranger = new_secret(), new_secret(), new_secret()
    now = int(time.time())

    def verdict(secret: str, at: int = now, body: bytes = BODY) -> str:
        headers = {
            "webhook-id": "e1",
            "webhook-timestamp": str(at),
            "webhook-signature": sign([new, old], "e1", at, BODY),
        }
        question = {"library": library, "secret": secret, "headers": headers, "body": body.decode()}
        asked = ("node", str(verifier))
        told = subprocess.run(asked, input=json.dumps(question), capture_output=True, text=True, timeout=30, check=True)
        return told.stdout.strip()

    assert [verdict(new), verdict(old), verdict(stranger)] == ["accepted", "accepted", "refused"]
    assert [verdict(new, now - 600), verdict(new, body=BODY + b" ")] == ["refused", "refused"]


async def test_the_example_in_node(tmp_path: Path) -> None:
    await keeps_its_promises(COMMAND, tmp_path)


async def test_the_example_in_node_takes_a_delivery(system: System, tmp_path: Path) -> None:
    await takes_a_real_delivery(COMMAND, tmp_path, system)


@pytest.mark.parametrize("place", ["keys", "keys/clients"])
async def test_the_lines_of_the_dashboard_in_node(dashboard: Dashboard, tmp_path: Path, place: str) -> None:
    (tmp_path / "sample.mjs").write_text(lines_of(await made(dashboard, place), "Node"))
    assert TEXT in await printed(["node", "sample.mjs"], tmp_path)
