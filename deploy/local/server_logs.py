"""Turns the end of a server's log into the one line that a user needs when the server does not start."""

import re
from pathlib import Path

from deploy.local.errors import LocalError, PortTaken

_FULL = re.compile(r"no space left on device|insufficient (storage )?resources|disk quota exceeded", re.IGNORECASE)
_BUSY = re.compile(r"address already in use|\bport \d+ on \S+ is taken", re.IGNORECASE)
_TROUBLE = re.compile(r"\b(PANIC|FATAL|ERROR|error|Fatal|FTL|ERR)\b|\[(FTL|ERR)\]|\*\*\* FATAL|nats-server: ")
_STAMP = re.compile(r"^(\[\d+\] )?[\d\-/]+[ T][\d:.]+( UTC| GMT)?\s*(\[\w+\]\s*)?")


def size(log: Path) -> int:
    """Return how long `log` is now, in bytes (0 when there is none)."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def failure(name: str, log: Path, begins: int, data: Path | None, code: int | None) -> LocalError:
    """Return one line: what stopped `name`, from its log after byte `begins`, and how to mend it.

    It is a PortTaken where another port will do.
    """
    lines = _lines(log, begins)
    text = "\n".join(lines)
    if _FULL.search(text):
        return LocalError(f"the disk that holds {data or log.parent} is full: free some space and start again")
    if _BUSY.search(text):
        return PortTaken(f"{name} found its port in use; see {log}")
    told = [_STAMP.sub("", line).strip() for line in lines if _TROUBLE.search(line)] or lines[-1:]
    # The first complaint is the cause; what follows is its consequence.
    reason = told[0][:200] if told else "it said nothing"
    end = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    if data is None:
        return LocalError(f"{name} does not start ({end}): {reason}; see {log}")
    return LocalError(
        f"{name} does not start ({end}): {reason}. If its data in {data} are damaged, put a backup there, "
        f"or move them away to begin anew (this loses what they hold); see {log}"
    )


def _lines(log: Path, begins: int) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(begins, size(log) - 65536))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return []
