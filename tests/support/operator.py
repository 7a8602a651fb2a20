"""The command line as the operator of a test's servers uses it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.__main__ import main
from shared.runtime.settings import ServiceSettings

Cli = Callable[..., Awaitable[tuple[int, Any]]]


def operator(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, home: Path, capsys: pytest.CaptureFixture[str]
) -> Cli:
    """Runs a command in this process; gives its exit code and what it printed as JSON."""
    monkeypatch.setenv("SMSFLEET_HOME", str(home))
    monkeypatch.setenv("SMSFLEET_NATS_URL", settings.nats_url)
    monkeypatch.setenv("SMSFLEET_NATS_NKEY_FILE", settings.nats_nkey_file or "")

    async def run(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = await asyncio.to_thread(main, [*words, "--json"])
        # Services of this process log to standard output here, before and after the command's one line of JSON.
        said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("{", "["))]
        return code, json.loads(said[-1])

    return run
