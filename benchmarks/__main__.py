"""`python -m benchmarks`: runs every measurement, one after the other; a missed goal is printed, not an error."""

import sys

from benchmarks import accept, bearer, dashboard, latency, lease, scheduled, sse, webhooks, whole_path


def main() -> int:
    """Runs them all; 0 unless one could not be run."""
    measurements = (accept, bearer, whole_path, latency, scheduled, lease, sse, dashboard, webhooks)
    codes: list[int] = [measurement.main() for measurement in measurements]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
