"""NATS with JetStream on one machine: loopback only, a key for each role, every accepted message on disk."""

import json
from pathlib import Path

from deploy.local import credentials
from deploy.local.errors import LocalError
from deploy.local.paths import Home, free_bytes, make_folder, write_private
from deploy.local.ports import free_port
from deploy.local.probes import http_ready
from deploy.local.processes import Program
from deploy.local.programs import bundled

SMALLEST_STORE = 256 * 1024 * 1024
LARGEST_STORE = 4 * 1024 * 1024 * 1024
_MEMORY_STORE = 64 * 1024 * 1024
_SHARE_OF_ROOM = 0.6
_MOST_OF_ROOM = 0.9


def install(home: Home) -> tuple[Program, str]:
    """Return how to run this installation's NATS, and its URL. Raise LocalError where it cannot work."""
    port, monitoring = free_port(), free_port()
    store = home.path / "nats"
    make_folder(store, 0o700)
    configuration = home.secrets / "nats.conf"
    limit = store_limit(store, _limit_of(configuration))
    settings = {
        "server_name": "smsfleet-local",
        "host": "127.0.0.1",
        "port": port,
        # A client that hangs stays in its queue groups until it misses its pings, and questions to it are lost.
        "ping_interval": "5s",
        "ping_max": 2,
        "http": f"127.0.0.1:{monitoring}",
        "jetstream": {
            "store_dir": str(store),
            "sync_interval": "always",
            "max_file_store": limit,
            "max_memory_store": _MEMORY_STORE,
        },
        "system_account": "SYS",
        "accounts": {
            "SYS": {},
            "APP": {
                # The account's limit is what a client can ask for: the streams are made to fit into it.
                "jetstream": {"max_file": limit, "max_mem": _MEMORY_STORE},
                "users": _users(credentials.nats_public_keys(home)),
            },
        },
    }
    # The server's configuration language takes JSON as it is.
    write_private(configuration, json.dumps(settings, indent=2))

    async def ready() -> bool:
        return await http_ready(f"http://127.0.0.1:{monitoring}/healthz")

    program = Program(
        name="nats",
        argv=[bundled("nats-server"), "--config", configuration],
        log=home.log("nats"),
        data=store,
        ready=ready,
        env={"PATH": "/usr/bin:/bin"},
        cwd=home.path,
        health_url=f"http://127.0.0.1:{monitoring}/healthz",
    )
    return program, f"nats://127.0.0.1:{port}"


def store_limit(store: Path, before: int = 0) -> int:
    """Return how many bytes JetStream may keep in `store`, below what its volume can hold.

    JetStream refuses what goes beyond its limit and recovers by itself; on a full disk it does neither.
    `before` is the limit of the last start, kept while it fits: streams made for it do not shrink. Raise
    LocalError when there is not even room for the smallest useful store.
    """
    used = sum(path.stat().st_blocks * 512 for path in store.rglob("*") if path.is_file())
    room = free_bytes(store) + used
    if 0 < before <= room * _MOST_OF_ROOM:
        return before
    limit = min(LARGEST_STORE, int(room * _SHARE_OF_ROOM))
    if limit < SMALLEST_STORE:
        needed = int(SMALLEST_STORE / _SHARE_OF_ROOM) >> 20
        raise LocalError(
            f"the disk that holds {store} is full: {free_bytes(store) >> 20} MB free, {needed} MB needed; "
            "free some space, or set SMSFLEET_HOME to a folder on a larger disk"
        )
    return limit


def _limit_of(configuration: Path) -> int:
    try:
        return int(json.loads(configuration.read_text())["jetstream"]["max_file_store"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _users(keys: dict[str, str]) -> list[dict[str, object]]:
    from shared.bus.permissions import permissions

    return [{"nkey": key, "permissions": permissions(role)} for role, key in keys.items()]
