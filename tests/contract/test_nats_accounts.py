"""deploy/nats/accounts.conf says what the registry makes; nats-server itself takes the whole configuration."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy.local.credentials import nkey_pair
from deploy.local.programs import bundled
from shared.bus.permissions import ROLES, permissions
from tests.contract.test_snapshots import compare

FOLDER = Path(__file__).parents[2] / "deploy" / "nats"
CLUSTER = FOLDER.parent / "k8s" / "base" / "cluster.conf"

STORE = {"SMSFLEET_NATS_STORE": str(1 << 30), "SMSFLEET_NATS_STORE_ALL": str(3 << 30)}

HEAD = """\
# Written by `make snapshots` from shared/bus/permissions.py: what is not named here is refused.
"""


def accounts() -> str:
    """The accounts of NATS, each role by the public key that the environment names."""
    users = [{"nkey": f"$SMSFLEET_NATS_USER_{role.upper()}", "permissions": permissions(role)} for role in ROLES]
    # The account's limit is what a client can ask for: the streams are made to fit into it.
    limits = {"max_file": "$SMSFLEET_NATS_STORE_ALL", "max_mem": 64 << 20}
    told = {"system_account": "SYS", "accounts": {"SYS": {}, "APP": {"jetstream": limits, "users": users}}}
    lines = (f"{json.dumps(name)}: {json.dumps(value, indent=2)}" for name, value in told.items())
    # A variable is one without quotes only.
    return HEAD + re.sub(r'"(\$SMSFLEET_\w+)"', r"\1", "\n".join(lines)) + "\n"


def test_accounts() -> None:
    compare(FOLDER / "accounts.conf", accounts())


@pytest.mark.parametrize("name", ["nats.conf", "cluster.conf"])
def test_nats_server_takes_the_configuration(name: str, tmp_path: Path) -> None:
    for file in (FOLDER / "nats.conf", FOLDER / "accounts.conf", CLUSTER):
        (tmp_path / file.name).write_text(file.read_text())
    keys = {f"SMSFLEET_NATS_USER_{role.upper()}": nkey_pair()[1] for role in ROLES}
    environment = {**os.environ, "HOSTNAME": "nats-0", **STORE, **keys}
    done = subprocess.run(
        [bundled("nats-server"), "-t", "--config", str(tmp_path / name)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "configuration file" in done.stderr + done.stdout
