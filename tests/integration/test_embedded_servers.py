"""The embedded servers keep data, keep strangers out, and say in one line why they cannot work."""

import asyncio
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import nats
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ResponseError

from deploy.local import placement, ports, postgres, system_user
from deploy.local.errors import LocalError
from deploy.local.nats import store_limit
from deploy.local.paths import Home
from deploy.local.programs import postgres_programs
from tests.support.embedded import Servers, start_servers
from tests.support.strangers import as_stranger, ask_tcp, ask_unix

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Servers that the tests of this file may ask anything but not stop."""
    servers = await start_servers(tmp_path_factory.mktemp("shared") / "home")
    yield servers
    await servers.stop()


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Servers]:
    """Servers that a test may kill."""
    servers = await start_servers(tmp_path / "home")
    yield servers
    await servers.stop()


def socket_of(servers: Servers) -> Path:
    return Path(parse_qs(urlsplit(servers.database_url).query)["host"][0])


async def test_postgres_is_set_up_to_keep_what_it_accepts(running: Servers) -> None:
    connection = await asyncpg.connect(running.database_url)
    try:
        shown = {
            name: await connection.fetchval(f"show {name}")
            for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "server_encoding")
        }
        locale = await connection.fetchrow(
            "select datlocprovider::text, datlocale from pg_database where datname = current_database()"
        )
        rules = await connection.fetch("select distinct auth_method from pg_hba_file_rules")
    except asyncpg.InsufficientPrivilegeError:
        rules = []
    finally:
        await connection.close()
    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "server_encoding": "UTF8",
    }
    assert locale is not None
    assert tuple(locale) == ("b", "C.UTF-8")
    assert all(rule["auth_method"] == "scram-sha-256" for rule in rules)


async def test_our_role_may_make_databases_but_is_no_superuser(running: Servers) -> None:
    connection = await asyncpg.connect(running.database_url)
    try:
        role = await connection.fetchrow("select rolsuper, rolcreatedb from pg_roles where rolname = current_user")
    finally:
        await connection.close()
    assert role is not None
    assert tuple(role) == (False, True)


async def test_every_local_rule_of_postgres_asks_for_a_password(running: Servers) -> None:
    data = placement.outside_area(Home(running.home)) / "data"
    rules = (data if data.exists() else running.home / "postgres" / "data") / "pg_hba.conf"
    lines = [line.split() for line in rules.read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert {words[-1] for words in lines} == {"scram-sha-256"}


async def test_wrong_credentials_are_refused_by_each(running: Servers) -> None:
    parts = urlsplit(running.database_url)
    wrong = running.database_url.replace(str(parts.password), "0" * 64)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong.replace("smsfleet:", "postgres:"))
    port = urlsplit(running.nats_url).port or 0
    assert "Authorization Violation" in ask_tcp(port, b'CONNECT {"verbose":true}\r\nPING\r\n')
    parts = urlsplit(running.redis_url)
    async with Redis(host="127.0.0.1", port=parts.port or 0) as without:
        with pytest.raises((AuthenticationError, ResponseError)):
            await without.ping()


@needs_root
async def test_another_local_user_gets_in_nowhere(running: Servers) -> None:
    socket = socket_of(running) / placement.SOCKET_NAME
    nats_port, valkey_port = (urlsplit(url).port or 0 for url in (running.nats_url, running.redis_url))

    def look() -> str:
        return "|".join(
            (
                ask_unix(socket),
                ask_tcp(nats_port, b'CONNECT {"verbose":true}\r\nPING\r\n'),
                ask_tcp(valkey_port, b"PING\r\n"),
                _reading(running.nats_nkey_seed),
                _reading(running.home / "secrets" / "valkey.conf"),
                _reading(running.home / "secret.key"),
            )
        )

    database, queue, cache, *files = as_stranger(look).split("|")
    assert database == "refused: PermissionError"
    assert "Authorization Violation" in queue
    assert "PONG" not in queue
    assert "NOAUTH" in cache
    assert all(each in ("refused: PermissionError", "refused: FileNotFoundError") for each in files)


def _reading(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as problem:
        return f"refused: {type(problem).__name__}"


async def test_generated_credentials_are_private(running: Servers) -> None:
    secrets = list((running.home / "secrets").iterdir())
    assert secrets
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE((running.home / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE(socket_of(running).stat().st_mode) == 0o700


async def test_what_was_accepted_survives_kill_9_of_each(own: Servers) -> None:
    connection = await asyncpg.connect(own.database_url)
    await connection.execute("create table kept (n int); insert into kept values (7)")
    connection.terminate()
    client = await nats.connect(own.nats_url, nkeys_seed=str(own.nats_nkey_seed))
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    await stream.publish("kept", b"seven")
    for name in ("postgres", "nats", "valkey"):
        await own.kill(name)
        await own.start(name)
    connection = await asyncpg.connect(own.database_url)
    assert await connection.fetchval("select n from kept") == 7
    await connection.close()
    await client.close()
    client = await nats.connect(own.nats_url, nkeys_seed=str(own.nats_nkey_seed))
    assert (await client.jetstream().stream_info("KEPT")).state.messages == 1
    await client.close()


async def test_a_second_start_finds_its_data_and_its_credentials(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = await start_servers(home)
    connection = await asyncpg.connect(first.database_url)
    await connection.execute("create table kept (n int)")
    await connection.close()
    for name in list(first.processes):
        await first.stop_one(name)
    second = await start_servers(home)
    try:
        assert urlsplit(second.database_url).password == urlsplit(first.database_url).password
        connection = await asyncpg.connect(second.database_url)
        assert await connection.fetchval("select count(*) from kept") == 0
        await connection.close()
    finally:
        await second.stop()


async def test_a_home_with_a_long_path_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    running = await start_servers(deep / "home")
    try:
        folder = socket_of(running)
        assert len(os.fsencode(folder / placement.SOCKET_NAME)) <= 107
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        await running.stop()


@needs_root
async def test_root_below_a_closed_folder_changes_no_mode_above(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "clone" / ".smsfleet"
    home.parent.mkdir(mode=0o755)
    above = [home.parent, *home.parent.parents]
    before = [stat.S_IMODE(path.stat().st_mode) for path in above]
    running = await start_servers(home)
    try:
        area = placement.outside_area(Home(home))
        assert (area / "data" / "PG_VERSION").is_file()
        assert stat.S_IMODE(area.stat().st_mode) == 0o700
        assert not (home / "postgres").exists()
    finally:
        await running.stop()
    assert [stat.S_IMODE(path.stat().st_mode) for path in above] == before


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs_root
async def test_root_in_an_open_folder_keeps_the_data_in_the_installation(open_folder: Path) -> None:
    running = await start_servers(open_folder / "home")
    try:
        data = open_folder / "home" / "postgres" / "data"
        assert (data / "PG_VERSION").is_file()
        assert data.stat().st_uid != 0
    finally:
        await running.stop()


@needs_root
async def test_programs_that_their_user_cannot_reach_are_copied(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = postgres_programs().parent.parent
    hidden = tmp_path / "packages"
    hidden.mkdir(mode=0o700)
    for folder in (real, real.with_name(f"{real.name}.libs")):
        await asyncio.to_thread(shutil.copytree, folder, hidden / folder.name, symlinks=True)
    programs = hidden / real.name / "pginstall" / "bin"
    monkeypatch.setattr(placement, "postgres_programs", lambda: programs)
    monkeypatch.setattr(system_user, "STATE", open_folder)
    said: list[str] = []
    home = Home(tmp_path / "home")
    home.make()
    places = placement.place(home, said.append)
    assert places.programs.is_relative_to(open_folder)
    assert places.area.is_relative_to(open_folder)
    assert any("are copied to" in line for line in said)
    running = await start_servers(home.path)
    await running.stop()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: (data / "global" / "pg_control").write_bytes(b""), "pg_control"),
        (lambda data: (data / "PG_VERSION").unlink(), "not a Postgres database any more"),
        (lambda data: (data / "postgresql.conf").write_text("nonsense here\n"), "configuration file"),
    ],
    ids=["control file", "version", "configuration"],
)
async def test_damaged_data_are_told_in_one_line(tmp_path: Path, damage: Callable[[Path], object], told: str) -> None:
    home = tmp_path / "home"
    running = await start_servers(home)
    for name in list(running.processes):
        await running.stop_one(name)
    outside = placement.outside_area(Home(home))
    area = outside if outside.exists() else home / "postgres"
    damage(area / "data")
    try:
        with pytest.raises(LocalError) as problem:
            await start_servers(home)
    finally:
        await running.stop()
    text = str(problem.value)
    assert told in text
    assert "\n" not in text


@pytest.fixture
def small_disk(open_folder: Path) -> Iterator[Path]:
    """A disk of 24 MB that every user may enter."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", open_folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.decode().strip()}")
    yield open_folder
    subprocess.run(["umount", open_folder], check=True)


@needs_root
async def test_a_full_disk_is_told_in_one_line_by_nats(small_disk: Path) -> None:
    with pytest.raises(LocalError, match=r"the disk that holds \S+ is full: \d+ MB free, \d+ MB needed"):
        await start_servers(small_disk / "home")


@needs_root
async def test_a_full_disk_is_told_in_one_line_by_postgres(small_disk: Path) -> None:
    home = Home(small_disk / "home")
    home.make()
    (small_disk / "ballast").write_bytes(bytes(16 * 1024 * 1024))
    with pytest.raises(LocalError, match=r"the disk that holds \S+ is full: free some space") as problem:
        await asyncio.to_thread(postgres.install, home, lambda _: None)
    assert "\n" not in str(problem.value)
    assert not (home.path / "postgres" / "data").exists()
    (small_disk / "ballast").unlink()


def test_jetstream_is_held_below_what_its_disk_can_take(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    assert store_limit(tmp_path) < free
    assert store_limit(tmp_path, before=300 << 20) == 300 << 20


def test_a_busy_port_is_told_with_the_setting_to_change() -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(LocalError, match=rf"port {port} on 127.0.0.1 is in use.*SMSFLEET_PORT"):
            ports.require_free("127.0.0.1", port)
