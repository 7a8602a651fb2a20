"""What became of all messages of a chaos run: the counter's verdict, and the stories of those that ended `unknown`."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.counter import Count, count, lines
from tests.support.system import System
from tests.support.waiting import until

PAGE = 1000
MOST_STORIES = 30


class Outcomes:
    """The answers of one run beside the radios' files and what the system tells of its messages."""

    def __init__(self, system: System, answers: Path) -> None:
        """`answers` is the file that the load writes."""
        self._system = system
        self._answers = answers

    @property
    def accepted(self) -> dict[str, str]:
        """The texts that were accepted and their guids."""
        return {
            answer["text"]: json.loads(answer["body"])["result"]["id"]
            for answer in lines([self._answers])
            if answer["status"] == 200
        }

    def statuses(self) -> Counter[int | None]:
        """How many sends were answered how; None: not at all."""
        return Counter(answer["status"] for answer in lines([self._answers]))

    def count(self) -> Count:
        """The counter's verdict on everything so far."""
        return count(lines([self._answers]), lines(self._system.radio_files))

    def performed(self) -> int:
        """Lines in the radios' files."""
        return sum(file.read_bytes().count(b"\n") for file in self._system.radio_files if file.exists())

    async def all_performed(self, within_s: float, but: int = 0) -> None:
        """Waits until all but so many of the accepted messages stand in the radios' files."""

        async def done() -> bool:
            return len(self.count().lost) <= but

        await until(done, "everything accepted was performed", within_s)

    async def settled(self, within_s: float) -> list[dict[str, Any]]:
        """Waits until every message was sent or is `unknown`; the stories of the unknown ones.

        After it no radio does anything more, for a message that is at rest is given to nobody.
        """
        stories: list[dict[str, Any]] = []

        async def settled() -> bool:
            rows = await self._rows()
            others = [row["guid"] for row in rows if row["status"] != "Success"]
            if len(rows) < len(self.accepted) or len(others) > MOST_STORIES:
                return False
            stories[:] = [await self._system.cli("message", "show", guid) for guid in others]
            return all(story["state"] == "unknown" for story in stories)

        try:
            await until(settled, "every message was sent or is unknown", within_s)
        except AssertionError as problem:
            problem.add_note(json.dumps([story for story in stories if story["state"] != "unknown"][:3], indent=1))
            problem.add_note(repr(self.count()))
            raise
        return stories

    async def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while page := await self._system.log(limit=PAGE, offset=len(rows)):
            rows += page
        return rows


def radio_times(files: Iterable[Path]) -> dict[str, float]:
    """When each message was last performed, Unix seconds."""
    times: dict[str, float] = {}
    for line in lines(files):
        times[line["message_id"]] = max(line["time"] / 1000, times.get(line["message_id"], 0.0))
    return times


def accepted_at(guid: str) -> float:
    """When the message was accepted, Unix seconds: its id begins with that."""
    return int(guid[:12], 16) / 1000


async def leave_for(seconds: float) -> None:
    """Lets a disturbance last: the scenario itself says for how long."""
    await asyncio.sleep(seconds)
