"""The `smsfleet` command: runs a subcommand and turns what it raises into one line and an exit code.

A group of subcommands is a module of services/cli that offers `add_parser(subparsers)`; each of its commands
sets `run(args) -> int`. They import what they need when they run: `smsfleet --help` must not wait for it.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

DONE, FAILED, USAGE, NOT_RUNNING = 0, 1, 2, 3
"""The exit codes that scripts rely on."""

GROUPS = (
    "local",
    "setup",
    "accounts",
    "users",
    "dashboard",
    "keys",
    "enrolment",
    "signing",
    "audit",
    "phones",
    "enrol",
    "messages",
    "campaigns",
    "webhooks",
    "dead",
    "attention",
)
SERVICES = {
    "gateway": "run the HTTP edge",
    "dispatcher": "run the owner of messages and phones",
    "webhooks": "run the deliverer of events",
    "auth": "run the owner of accounts and keys",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process' own) and return its exit code."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:
        # The reader of our output has left, as `head` does.
        sys.stderr.close()
        return FAILED
    except Exception as problem:
        from shared.errors import SmsFleetError

        if not isinstance(problem, SmsFleetError):
            raise
        if getattr(args, "json", False):
            print(json.dumps({"error": str(problem), "code": problem.code}))
        else:
            print(f"smsfleet: {problem}", file=sys.stderr)
        return NOT_RUNNING if problem.code == "not_running" else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smsfleet",
        description="Turns phones into an SMS API that you host yourself.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not running. Each command takes --json.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="command", title="commands")
    for group in GROUPS:
        importlib.import_module(f"services.cli.{group}").add_parser(subparsers)
    for name, about in SERVICES.items():
        command = subparsers.add_parser(name, help=about, description=f"{about.capitalize()} until SIGTERM.")
        command.add_argument("--json", action="store_true", help="log in JSON (it always does)")
        command.set_defaults(run=_run_service, service=name)
    return parser


def _run_service(args: argparse.Namespace) -> int:
    code = importlib.import_module(f"services.{args.service}.__main__").main()
    return int(code or DONE)


if __name__ == "__main__":
    sys.exit(main())
