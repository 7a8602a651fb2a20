"""`smsfleet setup` shows a running system's keys, as often as it is asked, and says what is missing for its demo."""

import asyncio
import re

from tests.support.system import System


async def test_setup_tells_the_first_accounts_keys_and_makes_none_twice(system: System) -> None:
    gateway = {"SMSFLEET_GATEWAY_URL": system.base_url, "SMSFLEET_PUBLIC_URL": system.base_url}
    for _ in range(2):
        done = await asyncio.to_thread(system.run, "setup", **gateway)
        assert done.returncode == 0, done.stderr
        for name in ("base_url", "api_key", "enrolment_key"):
            assert system.credentials[name] in done.stdout
        assert re.search(rf"{re.escape(system.base_url)}/dashboard/link/[0-9a-f]{{64}}\s", done.stdout)
