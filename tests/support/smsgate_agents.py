"""A phone of the app's kind as a process of its own, which a test starts, kills and starts again."""

import sqlite3

from tests.support.agents import Agent
from tests.support.counter import lines
from tests.support.system import System


class AppPhone(Agent):
    """A simulated phone that speaks the app's protocol."""

    def __init__(self, system: System, name: str, delay_ms: int = 5) -> None:
        """Its address ends with a slash, so that all its calls have two."""
        super().__init__(system, name, f"{system.base_url}/mobile/v1/", delay_ms=delay_ms)
        self._environment["SMSFLEET_PHONE_PROTOCOL"] = "smsgate"

    def performed(self) -> list[str]:
        """The messages that its radio has sent, in order."""
        return [line["message_id"] for line in lines([self.folder / "radio.jsonl"])]

    async def knows_where_to_post(self) -> bool:
        """Whether it has its list of webhooks."""
        memory = sqlite3.connect(self.folder / "journal.db")
        try:
            return bool(memory.execute("select count(*) from hooks").fetchone()[0])
        finally:
            memory.close()
