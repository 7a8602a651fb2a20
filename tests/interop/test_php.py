"""The receiver in PHP that the documentation offers takes our requests and nobody else's."""

from pathlib import Path

import pytest

from tests.support.dashboards import Dashboard
from tests.support.receivers import EXAMPLE_RECEIVERS, keeps_its_promises, takes_a_real_delivery
from tests.support.samples import TEXT, lines_of, made, printed
from tests.support.system import System

COMMAND = ["php", "-S", "127.0.0.1:PORT", str(EXAMPLE_RECEIVERS / "php" / "receiver.php")]


async def test_the_example_in_php(tmp_path: Path) -> None:
    await keeps_its_promises(COMMAND, tmp_path)


async def test_the_example_in_php_takes_a_delivery(system: System, tmp_path: Path) -> None:
    await takes_a_real_delivery(COMMAND, tmp_path, system)


@pytest.mark.parametrize("place", ["keys", "keys/clients"])
async def test_the_lines_of_the_dashboard_in_php(dashboard: Dashboard, tmp_path: Path, place: str) -> None:
    (tmp_path / "sample.php").write_text(lines_of(await made(dashboard, place), "PHP"))
    assert TEXT in await printed(["php", "sample.php"], tmp_path)
