"""`python -m services.webhooks`."""

import sys


def main() -> int:
    """Runs the webhooks service until a signal; returns the exit code."""
    from services.webhooks.app import open_service
    from services.webhooks.settings import WebhooksSettings
    from shared.runtime.service import run_service

    return run_service("webhooks", WebhooksSettings, open_service)


if __name__ == "__main__":
    sys.exit(main())
