"""How a start tells what it does: on the screen, or through a pipe to the command that waits for it."""

import contextlib
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Protocol


@dataclass(frozen=True)
class Started:
    """What a user needs after a start."""

    home: str
    base_url: str
    api_key: str
    dashboard_url: str = ""
    dashboard_link: str = ""
    """Signs in once, within ten minutes; empty where nobody could be given one."""
    phones: list[str] = field(default_factory=list)
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds that each phase took."""
    pid: int = 0
    already_running: bool = False


class Progress(Protocol):
    """Receives the steps of a start."""

    def note(self, text: str) -> None:
        """Something the user should know happened."""

    def phase(self, name: str, seconds: float, detail: str) -> None:
        """A phase is over."""

    def ready(self, started: Started) -> None:
        """Everything answers."""

    def failed(self, reason: str) -> None:
        """The start is given up, nothing is left running."""


class Screen:
    """Tells people."""

    def __init__(self, home: str, stays: bool, out: IO[str] | None = None) -> None:
        """`stays`: the command goes on running, so Ctrl-C is how to stop."""
        self._out = out or sys.stdout
        self._stays = stays
        self._say(f"SMSFleet starts; its data are in {home}")

    def note(self, text: str) -> None:
        """Print a line."""
        self._say(f"  {text}")

    def phase(self, name: str, seconds: float, detail: str) -> None:
        """Print a line with the phase's time."""
        self._say(f"  {name:<10}{seconds:5.1f} s  {detail}")

    def ready(self, started: Started) -> None:
        """Print what to do next."""
        self._say(f"Ready in {started.seconds:.1f} s." if not started.already_running else "")
        self._say(_what_now(started, self._stays))

    def failed(self, reason: str) -> None:
        """Print the one line that matters where errors go."""
        with contextlib.suppress(OSError):
            print(f"smsfleet: {reason}", file=sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        # A terminal that has gone must not take the installation along.
        with contextlib.suppress(OSError):
            if text:
                print(text, file=self._out, flush=True)


class Json:
    """Tells programs: one JSON object when all is done."""

    def note(self, text: str) -> None:
        """Nothing: only the outcome is printed."""

    def phase(self, name: str, seconds: float, detail: str) -> None:
        """Nothing: the times are in the outcome."""

    def ready(self, started: Started) -> None:
        """Print the outcome."""
        print(json.dumps(asdict(started)), flush=True)

    def failed(self, reason: str) -> None:
        """Print the reason, also as JSON."""
        print(json.dumps({"error": reason}), flush=True)


class Pipe:
    """Tells the command that started a detached supervisor; closes when the start is over."""

    def __init__(self, descriptor: int) -> None:
        """Owns `descriptor`."""
        self._file: IO[str] | None = os.fdopen(descriptor, "w", encoding="utf-8")

    def note(self, text: str) -> None:
        """Pass it on."""
        self._send("note", text=text)

    def phase(self, name: str, seconds: float, detail: str) -> None:
        """Pass it on."""
        self._send("phase", name=name, seconds=seconds, detail=detail)

    def ready(self, started: Started) -> None:
        """Pass it on and let go of the caller."""
        self._send("ready", **asdict(started))
        self.close()

    def failed(self, reason: str) -> None:
        """Pass it on and let go of the caller."""
        self._send("failed", reason=reason)
        self.close()

    def close(self) -> None:
        """Let go of the caller."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _send(self, kind: str, **values: Any) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps({"kind": kind, **values}) + "\n")
            self._file.flush()
        except OSError:
            # The command that waited is gone; the start goes on without it.
            self.close()


def relay(lines: IO[str], progress: Progress) -> bool | None:
    """Pass what a Pipe sent on to `progress`; return whether the start succeeded, None if untold."""
    outcome: bool | None = None
    for line in lines:
        told = json.loads(line)
        kind = told.pop("kind")
        if kind == "note":
            progress.note(**told)
        elif kind == "phase":
            progress.phase(**told)
        elif kind == "ready":
            progress.ready(Started(**told))
            outcome = True
        elif kind == "failed":
            progress.failed(**told)
            outcome = False
    return outcome


def _what_now(started: Started, stays: bool) -> str:
    url, key, link = started.base_url, started.api_key, bool(started.dashboard_link)
    lines = [
        "",
        f"  Dashboard {started.dashboard_link or started.dashboard_url}",
        *(
            ["            (signs you in once, within ten minutes; for another: .venv/bin/smsfleet dashboard link)"]
            * link
        ),
        f"  API       {url}  (documented at {url}/docs)",
        f"  API key   {key}",
        f"  Phones    {', '.join(started.phones) or 'none (SMSFLEET_PHONE=0)'}",
        "",
        "  Send an SMS:",
        f"    curl '{url}/sendsms/' -d apikey={key} \\",
        "      --data-urlencode 'recipients=+15551234567' --data-urlencode 'message=Hello from SMSFleet'",
        "  Let a reply arrive, and read it:",
        '    .venv/bin/smsfleet phone receive --from +15551234567 "hello"',
        f"    curl '{url}/getsms/?apikey={key}'",
        "",
        "  To stop it: Ctrl-C." if stays else "  To stop it: make down. To see what it does: make status, make logs.",
    ]
    return "\n".join(lines)
