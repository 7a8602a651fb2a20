"""`python -m benchmarks`: runs every measurement, one after the other; a missed goal is printed, not an error."""

import sys

from benchmarks import accept

if __name__ == "__main__":
    sys.exit(accept.main())
