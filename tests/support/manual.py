"""Runs the lines of a manual page as they stand there."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def run_lines(page: str, folder: Path, least: int, **variables: str) -> None:
    """Every `sh` block of this page under docs, one after the other in one shell; there are at least so many."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= least
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-euxo", "pipefail", "-c", "\n".join(blocks)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
