"""Where a local installation keeps what, so that no other module builds a path or chooses a mode."""

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalError

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout that this code runs from."""


@dataclass(frozen=True)
class Home:
    """The folder SMSFLEET_HOME and everything that scripts may rely on inside it."""

    path: Path

    @property
    def secrets(self) -> Path:
        """Folder (0700) of generated credentials and of server configurations."""
        return self.path / "secrets"

    @property
    def logs(self) -> Path:
        """Folder (0700) with one `<name>.log` a process."""
        return self.path / "logs"

    @property
    def phones(self) -> Path:
        """Folder (0700) with one folder a simulated phone."""
        return self.path / "phones"

    @property
    def credentials(self) -> Path:
        """`credentials.json`: what a user or a test needs to use this installation."""
        return self.path / "credentials.json"

    @property
    def run(self) -> Path:
        """`run.json`: which processes are running now."""
        return self.path / "run.json"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor for as long as it lives."""
        return self.path / "supervisor.lock"

    @property
    def secret_key(self) -> Path:
        """`secret.key`: 32 random bytes in hex, the root of everything that is encrypted or MACed."""
        return self.path / "secret.key"

    def log(self, name: str) -> Path:
        """Return the log file of the process called `name`."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Create the folder and its private parts; raise LocalError where that cannot work."""
        try:
            if not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # Under root the database's own user has to pass through, but need not list.
                make_folder(self.path, 0o711 if os.geteuid() == 0 else 0o700)
            if self.path.stat().st_uid != os.geteuid():
                raise LocalError(f"{self.path} belongs to another user: run as that user, or set SMSFLEET_HOME")
            for folder in (self.secrets, self.logs, self.phones):
                make_folder(folder, 0o700)
        except OSError as problem:
            raise LocalError(f"cannot use {self.path}: {explain(problem)}; set SMSFLEET_HOME elsewhere") from problem


def home_from_environment() -> Home:
    """Return the installation that SMSFLEET_HOME names, by default `.smsfleet` in this checkout."""
    named = os.environ.get("SMSFLEET_HOME", "")
    return Home(Path(named).expanduser().absolute() if named else PROJECT / ".smsfleet")


def make_folder(path: Path, mode: int) -> None:
    """Create `path` with exactly `mode`, whatever the umask; leave an existing one alone."""
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        return
    path.chmod(mode)


def write_private(path: Path, text: str) -> None:
    """Put `text` into `path` with mode 0600, whole or not at all, also when the machine stops half-way."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def explain(problem: OSError) -> str:
    """Return what an operating system's error means in words, without number and path."""
    return (problem.strerror or str(problem)).lower()


def free_bytes(path: Path) -> int:
    """Return how many bytes this user may still write to the volume of `path`."""
    return shutil.disk_usage(path).free
