"""`up` with servers that are not its own: none is started, and each service has the identity that it is given there."""

from pathlib import Path

import pytest

from deploy.local import credentials, servers
from deploy.local.errors import LocalError
from deploy.local.paths import Home
from shared.db.privileges import SERVICES


async def test_external_servers_take_the_place_of_embedded_ones(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    given = {
        "SMSFLEET_DATABASE_URL": "postgresql://elsewhere/db",
        "SMSFLEET_NATS_URL": "nats://elsewhere",
        "SMSFLEET_REDIS_URL": "redis://elsewhere",
    }
    found = await servers.install(home, lambda _: None, given)
    assert found.programs == ()
    assert (found.database_url, found.nats_url, found.redis_url) == tuple(given.values())


async def test_services_have_identities_of_their_own_at_external_servers_too(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    passwords = {service: f"of-{service}" for service in SERVICES}
    given = {
        "SMSFLEET_DATABASE_URL": "postgresql://elsewhere/db",
        "SMSFLEET_DATABASE_PASSWORDS": ",".join(f"{name}:{secret}" for name, secret in passwords.items()),
        "SMSFLEET_NATS_URL": "nats://elsewhere",
        "SMSFLEET_NATS_NKEY_FOLDER": str(tmp_path),
        "SMSFLEET_REDIS_URL": "redis://elsewhere",
    }
    for role in credentials.NATS_ROLES[1:]:
        (tmp_path / f"nats-{role}.nk").touch()
    with pytest.raises(LocalError, match=r"no nats-provision\.nk"):
        await servers.install(home, lambda _: None, given)
    (tmp_path / "nats-provision.nk").touch()
    found = await servers.install(home, lambda _: None, given)
    assert found.database_passwords == passwords
    assert found.nats_nkey_files == {role: tmp_path / f"nats-{role}.nk" for role in credentials.NATS_ROLES}
