"""The receiver in PHP that the documentation offers takes our requests and nobody else's."""

from pathlib import Path

from tests.support.receivers import EXAMPLE_RECEIVERS, keeps_its_promises


async def test_the_example_in_php(tmp_path: Path) -> None:
    await keeps_its_promises(["php", "-S", "127.0.0.1:PORT", str(EXAMPLE_RECEIVERS / "php" / "receiver.php")], tmp_path)
