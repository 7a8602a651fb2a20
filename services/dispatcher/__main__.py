"""`python -m services.dispatcher`."""

import sys


def main() -> int:
    """Runs the dispatcher until a signal; returns the exit code."""
    from services.dispatcher.app import open_service
    from services.dispatcher.settings import DispatcherSettings
    from shared.runtime.service import run_service

    return run_service("dispatcher", DispatcherSettings, open_service)


if __name__ == "__main__":
    sys.exit(main())
