"""`python -m services.gateway`."""

import sys


def main() -> int:
    """Runs the gateway until a signal; returns the exit code."""
    from services.gateway.app import open_service
    from services.gateway.settings import GatewaySettings
    from shared.runtime.service import run_service

    return run_service("gateway", GatewaySettings, open_service)


if __name__ == "__main__":
    sys.exit(main())
