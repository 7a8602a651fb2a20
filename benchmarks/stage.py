"""What the measurements of a gateway share: the processes around it, an account to send from, and what it costs."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.load import load
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import AccountCreated, CreateAccount
from shared.errors import Unavailable
from shared.model.ids import new_device_id
from tests.support.embedded import Servers

SECRET: Final = "b3" * 32
READY_S: Final = 30.0


def environment_of(servers: Servers) -> dict[str, str]:
    """The settings of a service beside these servers."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "SMSFLEET_NATS_URL": servers.nats_url,
        "SMSFLEET_NATS_NKEY_FILE": str(servers.nats_nkey_seed),
        "SMSFLEET_DATABASE_URL": servers.database_url,
        "SMSFLEET_SECRET_KEY": SECRET,
        "SMSFLEET_LOG_LEVEL": "warning",
    }


@contextlib.contextmanager
def process(module: str, environment: dict[str, str], *arguments: str) -> Iterator[int]:
    """Runs `python -m module` for the context's time; yields its process id."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


async def new_account(ask: RpcClient) -> AccountCreated:
    """An account, as soon as auth is there to make it."""
    deadline = asyncio.get_running_loop().time() + READY_S
    while True:
        try:
            return await ask.ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name="bench"))
        except Unavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.1)


async def add_device(database_url: str, account: int) -> None:
    """An account without any device is refused at the edge."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.execute(
            """
            insert into devices (id, account_id, name, protocol, journal, channels, approved, gateway, opened_at,
                renewed_at, last_seen_at)
            values ($1, $2, 'bench', 'socket', 'j', '{sms}', true, 'g', now(), now(), now())
            """,
            new_device_id(),
            account,
        )
    finally:
        await connection.close()


async def warm_up(port: int, request: bytes) -> None:
    """Returns when this request is answered well."""
    deadline = asyncio.get_running_loop().time() + READY_S
    while True:
        try:
            run = await load(port, request, b'"error":0', 0.5, connections=8)
            if run.answered and not run.refused:
                return
        except OSError:
            pass
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"nothing good answers on port {port}")
        await asyncio.sleep(0.1)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process; 0 where /proc is not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
