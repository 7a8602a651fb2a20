"""The system user that runs Postgres when we are root, because Postgres refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.processes import Owner

NAME = "smsfleet"
STATE = Path("/var/lib/smsfleet")
"""Where its files go when it cannot enter the installation's own folder."""


def ensure(say: Callable[[str], None]) -> Owner:
    """Return the system user, created without shell and password where it is missing (and `say` so)."""
    try:
        known = pwd.getpwnam(NAME)
    except KeyError:
        _create()
        known = pwd.getpwnam(NAME)
        say(f"created the system user {NAME} (no shell, no password): Postgres does not run as root")
    if known.pw_uid == 0:
        raise LocalError(f"the user {NAME} is root under another name: rename it, or run as an ordinary user")
    return Owner(NAME, known.pw_uid, known.pw_gid)


def can(owner: Owner, *command: str | Path) -> bool:
    """Return whether `command` succeeds when `owner` runs it; tried, not computed from modes."""
    try:
        return (
            subprocess.run(
                [str(word) for word in command],
                user=owner.uid,
                group=owner.gid,
                extra_groups=[],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=20,
                check=False,
            ).returncode
            == 0
        )
    except OSError:
        return False


def state_folder() -> Path:
    """Return /var/lib/smsfleet, made where it is missing: root's, open to pass through."""
    STATE.mkdir(mode=0o755, exist_ok=True)
    if STATE.stat().st_uid != 0:
        raise LocalError(f"{STATE} does not belong to root: move it away")
    return STATE


def give(path: Path, owner: Owner) -> None:
    """Make one folder `owner`'s own (0700). Never follows a link, never touches a folder above."""
    os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    path.chmod(0o700)


def _create() -> None:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        raise LocalError(f"Postgres does not run as root: create a system user {NAME}, or run as an ordinary user")
    shell = next((path for path in ("/usr/sbin/nologin", "/sbin/nologin") if Path(path).exists()), "/bin/false")
    made = subprocess.run(
        [
            useradd,
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            STATE,
            "--shell",
            shell,
            NAME,
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    # 9: it exists already, made by another start at the same moment.
    if made.returncode not in (0, 9):
        why = made.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise LocalError(f"cannot create the system user {NAME} ({why[0]}): create it, or run as an ordinary user")
