"""Shows the ends of the processes' logs, and follows them."""

import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.paths import Home

_LOOK_EVERY_S = 0.2


def show(home: Home, names: Sequence[str], lines: int, follow: bool, as_json: bool) -> int:
    """Print the last `lines` lines of each log (default: all logs); return 0, or 3 when there are none yet.

    With `follow` it goes on until it is interrupted. Raise LocalError for a name that has no log.
    """
    known = {path.stem: path for path in sorted(home.logs.glob("*.log"))}
    if not known:
        print("There are no logs yet: SMSFleet has not been started.", file=sys.stderr)
        return 3
    unknown = [name for name in names if name not in known]
    if unknown:
        raise LocalError(f"there is no log of {unknown[0]}; there are logs of {', '.join(known)}")
    chosen = {name: path for name, path in known.items() if not names or name in names}
    ends = {name: _tail(name, path, lines, as_json) for name, path in chosen.items()}
    try:
        while follow:
            ends = {name: _more(name, path, ends[name], as_json) for name, path in chosen.items()}
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        pass
    return 0


def _tail(name: str, path: Path, lines: int, as_json: bool) -> int:
    with path.open("rb") as file:
        for line in deque(file, maxlen=max(lines, 0)):
            _print(name, line, as_json)
        return file.tell()


def _more(name: str, path: Path, begins: int, as_json: bool) -> int:
    with path.open("rb") as file:
        file.seek(begins)
        for line in file:
            if not line.endswith(b"\n"):
                return begins
            begins += len(line)
            _print(name, line, as_json)
        return begins


def _print(name: str, line: bytes, as_json: bool) -> None:
    text = line.decode(errors="replace").rstrip("\n")
    print(json.dumps({"service": name, "line": text}) if as_json else f"{name:<12} {text}", flush=True)
