"""Valkey on one machine: loopback, a password, memory only, because what it holds may vanish at any time."""

from deploy.local import credentials
from deploy.local.paths import Home, make_folder, write_private
from deploy.local.ports import free_port
from deploy.local.probes import valkey_ready
from deploy.local.processes import Program
from deploy.local.programs import valkey_server


def install(home: Home) -> tuple[Program, str]:
    """Return how to run this installation's Valkey, and its URL. Raise LocalError where it cannot work."""
    port = free_port()
    password = credentials.password(home, "valkey")
    folder = home.path / "valkey"
    make_folder(folder, 0o700)
    configuration = home.secrets / "valkey.conf"
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        f'dir "{folder}"',
        'save ""',
        "appendonly no",
        "maxmemory 128mb",
        "maxmemory-policy volatile-lru",
        "daemonize no",
        # Its command line goes on naming this file, and so the installation that it belongs to.
        "set-proc-title no",
        "loglevel notice",
        # The overcommit warning is about snapshots, which are never made here.
        "ignore-warnings ARM64-COW-BUG",
    ]
    write_private(configuration, "\n".join(lines) + "\n")

    async def ready() -> bool:
        return await valkey_ready("127.0.0.1", port, password)

    program = Program(
        name="valkey",
        argv=[valkey_server(), configuration],
        log=home.log("valkey"),
        ready=ready,
        env={"PATH": "/usr/bin:/bin"},
        cwd=folder,
        stop_after_s=5.0,
    )
    return program, f"redis://default:{password}@127.0.0.1:{port}/0"
