"""`python -m services.auth`."""

import sys


def main() -> int:
    """Runs the auth service until a signal; returns the exit code."""
    from services.auth.app import open_service
    from services.auth.settings import AuthSettings
    from shared.runtime.service import run_service

    return run_service("auth", AuthSettings, open_service)


if __name__ == "__main__":
    sys.exit(main())
