"""The detached supervisor: started by `smsfleet up --detach`, which reads its progress from a pipe."""

import os
import sys

from deploy.local import control, instance
from deploy.local.paths import home_from_environment
from deploy.local.progress import Pipe


def main() -> int:
    """Run the installation of SMSFLEET_HOME; the only argument is the descriptor of the pipe."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    pipe = Pipe(descriptor)
    try:
        code = instance.supervise(home_from_environment(), pipe)
        return control.ALREADY_RUNNING if code is None else code
    finally:
        pipe.close()


if __name__ == "__main__":
    sys.exit(main())
