"""`python -m benchmarks`: runs every measurement, one after the other; a missed goal is printed, not an error."""

import sys

from benchmarks import accept, bearer, latency, lease, scheduled, webhooks, whole_path


def main() -> int:
    """Runs them all; 0 unless one could not be run."""
    return max(measurement.main() for measurement in (accept, bearer, whole_path, latency, scheduled, lease, webhooks))


if __name__ == "__main__":
    sys.exit(main())
