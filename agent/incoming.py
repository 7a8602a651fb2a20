"""The spool of texts that arrive at a simulated phone: one file each, so that any program can drop one."""

import json
import logging
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from agent.drivers.base import Arrival

MAX_CHARS = 40_000
"""Longest text, in characters; a real one has at most 255 parts of 153 characters."""

_AT_ONCE = 256

log = logging.getLogger("agent.incoming")


class _Spooled(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    text: str
    sim: int
    at_ms: int
    utc_offset_min: int = 0


def drop(home: Path, from_number: str, text: str, sim: int = 1) -> str:
    """Makes a text arrive at the phone in folder `home`; it is on disk on return. Gives the text's id.

    Raises ValueError for a text that is too long and OSError when the folder cannot be written.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"The text is longer than {MAX_CHARS} characters.")
    folder = home / "incoming"
    folder.mkdir(mode=0o700, exist_ok=True)
    now_ns = time.time_ns()
    name = f"{now_ns:020d}-{secrets.token_hex(8)}"
    body = {
        "number": _storable(from_number),
        "text": _storable(text),
        "sim": sim,
        "at_ms": now_ns // 1_000_000,
        "utc_offset_min": time.localtime(now_ns / 1e9).tm_gmtoff // 60,
    }
    temporary = folder / f".{name}.tmp"
    with temporary.open("x", encoding="ascii") as file:
        json.dump(body, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / f"{name}.json")
    return name


class Spool:
    """The agent's side of the spool."""

    def __init__(self, folder: Path) -> None:
        """`folder` exists."""
        self._folder = folder

    def waiting(self) -> list[Arrival]:
        """Texts in the order of their names, at most 256. A file that is no text is set aside as `.bad`."""
        arrivals: list[Arrival] = []
        names = sorted(entry.name for entry in os.scandir(self._folder) if entry.name.endswith(".json"))
        for name in names[:_AT_ONCE]:
            path = self._folder / name
            try:
                spooled = msgspec.json.decode(path.read_bytes(), type=_Spooled)
            except FileNotFoundError:
                continue
            except msgspec.MsgspecError as error:
                log.warning("%s is no text and is set aside: %s", name, error)
                path.rename(path.with_suffix(".bad"))
                continue
            arrivals.append(
                Arrival(
                    id=path.stem,
                    sim=spooled.sim,
                    number=_storable(spooled.number),
                    text=_storable(spooled.text)[:MAX_CHARS],
                    at_ms=spooled.at_ms,
                    utc_offset_min=spooled.utc_offset_min,
                )
            )
        return arrivals

    def remove(self, ids: Iterable[str]) -> None:
        """The texts with these ids are kept elsewhere now."""
        for name in ids:
            (self._folder / f"{name}.json").unlink(missing_ok=True)


def _storable(text: str) -> str:
    # Neither SQLite nor the gateway can hold these; a text that arrived must not be lost for one character.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
