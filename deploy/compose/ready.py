"""`python -m deploy.compose.ready [URL]`: a container's health check; exit code 0 when the URL answers 200."""

import asyncio
import os
import sys

from deploy.local.probes import http_ready


def main() -> int:
    """Asks once, by default this container's own service; 0 when it is ready, 1 when it is not."""
    own = f"http://127.0.0.1:{os.environ.get('SMSFLEET_METRICS_PORT', '9090')}/health/ready"
    return 0 if asyncio.run(http_ready(sys.argv[1] if len(sys.argv) > 1 else own)) else 1


if __name__ == "__main__":
    sys.exit(main())
