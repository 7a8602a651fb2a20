"""`python -m agent`: one phone, with its settings from the environment."""

import logging
import sys

from agent.app import run
from agent.errors import AgentError, SettingsError
from agent.settings import Settings


def main() -> int:
    """Runs the phone; 0 when it was told to stop, 1 when it cannot go on, 2 when a setting is wrong."""
    try:
        settings = Settings.from_env()
        logging.basicConfig(
            level=settings.log_level,
            format="%(asctime)s %(levelname)s %(name)s %(message)s",
            stream=sys.stderr,
        )
        # Its debug lines show whole frames, with the token and the texts in them.
        logging.getLogger("websockets").setLevel(logging.WARNING)
        reason = run(settings)
    except SettingsError as error:
        return _fail(error, 2)
    except (AgentError, OSError) as error:
        return _fail(error, 1)
    return 0 if reason is None else _fail(reason, 1)


def _fail(reason: object, code: int) -> int:
    print(f"smsfleet phone: {reason}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
