"""Makes and keeps the credentials of one installation: generated once, readable by its owner only."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.paths import Home, explain, write_private

NATS_ROLES = ("provision", "gateway", "dispatcher", "webhooks", "auth", "cli")
"""Who connects to NATS, each with a key of its own."""


def secret_key(home: Home) -> str:
    """Return the installation's secret (64 hex characters), made on first use."""
    return _kept(home.secret_key)


def password(home: Home, name: str) -> str:
    """Return the generated password called `name` (64 hex characters), made on first use."""
    return _kept(home.secrets / f"{name}.password")


def instance(home: Home) -> str:
    """Return 16 hex characters that tell this installation from an earlier one in the same folder."""
    return _kept(home.path / "instance", size=8)


def nats_seed_file(home: Home, role: str) -> Path:
    """Return the file with the private NATS key of `role`, made on first use."""
    path = home.secrets / f"nats-{role}.nk"
    if not path.exists():
        _make_nats_keys(home, [role])
    return path


def nats_public_keys(home: Home, roles: Sequence[str] = NATS_ROLES) -> dict[str, str]:
    """Return the public NATS key of each role; makes the pairs that are missing."""
    missing = [role for role in roles if not _public_file(home, role).exists()]
    if missing:
        _make_nats_keys(home, missing)
    return {role: _read(_public_file(home, role)) for role in roles}


def given_seed_files(folder: Path) -> dict[str, Path]:
    """Return the private NATS key file of each role in a folder of theirs, `nats-ROLE.nk`; raise LocalError."""
    files = {role: folder / f"nats-{role}.nk" for role in NATS_ROLES}
    if missing := [path.name for path in files.values() if not path.is_file()]:
        raise LocalError(f"SMSFLEET_NATS_NKEY_FOLDER is {folder}, where there is no {', '.join(missing)}")
    return files


def nkey_pair() -> tuple[str, str]:
    """Return a new private NATS key (its seed) and the public one."""
    # Loads a cryptographic library: only on the first start.
    import nkeys  # type: ignore[import-untyped]

    seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode(), nkeys.from_seed(bytearray(seed)).public_key.decode()


def _make_nats_keys(home: Home, roles: Sequence[str]) -> None:
    for role in roles:
        seed, public = nkey_pair()
        write_private(home.secrets / f"nats-{role}.nk", seed)
        write_private(_public_file(home, role), public)


def _public_file(home: Home, role: str) -> Path:
    return home.secrets / f"nats-{role}.pub"


def _kept(path: Path, size: int = 32) -> str:
    try:
        if not path.exists():
            write_private(path, secrets.token_hex(size))
    except OSError as problem:
        raise LocalError(f"cannot write {path}: {explain(problem)}") from problem
    return _read(path)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as problem:
        raise LocalError(f"cannot read {path} ({problem}): restore it from a backup") from problem
    if not text:
        raise LocalError(f"{path} is empty: restore it from a backup")
    return text
