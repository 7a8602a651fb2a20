"""deploy/nats/accounts.conf says what the registry makes; nats-server itself takes the whole configuration."""

import json
import os
import re
import subprocess
from pathlib import Path

from deploy.local.credentials import nkey_pair
from deploy.local.programs import bundled
from shared.bus.permissions import ROLES, permissions
from tests.contract.test_snapshots import compare

FOLDER = Path(__file__).parents[2] / "deploy" / "nats"

HEAD = """\
# Written by `make snapshots` from shared/bus/permissions.py: what is not named here is refused.
"""


def accounts() -> str:
    """The accounts of NATS, each role by the public key that the environment names."""
    users = [{"nkey": f"$SMSFLEET_NATS_USER_{role.upper()}", "permissions": permissions(role)} for role in ROLES]
    # The account's limit is what a client can ask for: the streams are made to fit into it.
    limits = {"max_file": "$SMSFLEET_NATS_STORE", "max_mem": 64 << 20}
    told = {"system_account": "SYS", "accounts": {"SYS": {}, "APP": {"jetstream": limits, "users": users}}}
    lines = (f"{json.dumps(name)}: {json.dumps(value, indent=2)}" for name, value in told.items())
    # A variable is one without quotes only.
    return HEAD + re.sub(r'"(\$SMSFLEET_\w+)"', r"\1", "\n".join(lines)) + "\n"


def test_accounts() -> None:
    compare(FOLDER / "accounts.conf", accounts())


def test_nats_server_takes_the_configuration() -> None:
    keys = {f"SMSFLEET_NATS_USER_{role.upper()}": nkey_pair()[1] for role in ROLES}
    environment = {**os.environ, "HOSTNAME": "nats-0", "SMSFLEET_NATS_STORE": str(1 << 30), **keys}
    done = subprocess.run(
        [bundled("nats-server"), "-t", "--config", str(FOLDER / "nats.conf")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "configuration file" in done.stderr + done.stdout
