"""The commands that run a local installation: up, down, status, logs, doctor, migrate, provision."""

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.local.paths import Home

DONE, FAILED, NOT_RUNNING = 0, 1, 3


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    up = _command(subparsers, "up", _up, "start everything on this machine and say how to use it")
    up.add_argument("--detach", action="store_true", help="return when ready and leave it running")
    _command(subparsers, "down", _down, "stop everything in order")
    _command(subparsers, "status", _status, "show each process and whether it is ready")
    logs = _command(subparsers, "logs", _logs, "show what the processes logged")
    logs.add_argument("names", nargs="*", metavar="name", help="gateway, postgres, phone-1, ... (default: all)")
    logs.add_argument("-n", "--lines", type=int, default=20, help="last lines of each (default: 20)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    _command(subparsers, "doctor", _doctor, "check this machine and the installation")
    _command(subparsers, "migrate", _migrate, "bring the database to this version's schema")
    _command(subparsers, "provision", _provision, "make the streams and consumers in NATS")


def _command(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, run: Any, about: str
) -> argparse.ArgumentParser:
    command = subparsers.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    command.add_argument("--json", action="store_true", help="print JSON instead of text")
    command.set_defaults(run=run)
    return command


def _home() -> "Home":
    from deploy.local.paths import home_from_environment

    return home_from_environment()


def _up(args: argparse.Namespace) -> int:
    from deploy.local import control, instance
    from deploy.local.progress import Json, Progress, Screen

    home = _home()
    progress: Progress = Json() if args.json else Screen(str(home.path), stays=not args.detach)
    code = control.start_detached(home, progress) if args.detach else instance.supervise(home, progress)
    return control.wait_for_the_other(home, progress) if code is None else code


def _down(args: argparse.Namespace) -> int:
    from deploy.local import control

    ran, forced = control.stop(_home())
    if args.json:
        print(json.dumps({"stopped": ran, "left_over": forced}))
    elif not ran:
        print("SMSFleet is not running.", file=sys.stderr)
    else:
        print("stopped" + (f"; {forced} left-over processes had to be ended" if forced else ""))
    return DONE if ran else NOT_RUNNING


def _status(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from deploy.local import control

    run = control.running(_home())
    if run is None:
        print(json.dumps({"running": False}) if args.json else "SMSFleet is not running.")
        return NOT_RUNNING
    found = asyncio.run(control.conditions(run))
    well = run.ready and all(each.state in ("ready", "running") for each in found)
    if args.json:
        told = [asdict(each) for each in found]
        print(json.dumps({"running": True, "ready": well, "pid": run.pid, "base_url": run.base_url, "processes": told}))
        return DONE if well else FAILED
    state = "ready" if well else "not ready" if run.ready else "starting"
    print(f"{run.base_url}  {state}  (supervisor {run.pid})")
    for each in found:
        why = "; ".join(f"{name}: {value}" for name, value in each.checks.items())
        numbers = f"pid {each.pid:<8} restarts {each.restarts}"
        print(f"  {each.kind:<8} {each.name:<12} {each.state:<10} {numbers}  {why}".rstrip())
    return DONE if well else FAILED


def _logs(args: argparse.Namespace) -> int:
    from deploy.local import log_view

    return log_view.show(_home(), args.names, args.lines, args.follow, args.json)


def _doctor(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from deploy.local import doctor

    findings = asyncio.run(doctor.examine(_home()))
    well = all(each.verdict != "bad" for each in findings)
    if args.json:
        print(json.dumps({"well": well, "findings": [asdict(each) for each in findings]}))
    else:
        for each in findings:
            print(f"  {each.verdict:<5} {each.subject:<12} {each.detail}")
    return DONE if well else FAILED


def _migrate(args: argparse.Namespace) -> int:
    import os

    from deploy.local import setup, state
    from shared.db.privileges import passwords_of

    passwords = passwords_of(os.environ.get("SMSFLEET_DATABASE_PASSWORDS", ""))
    asyncio.run(setup.migrate(state.connections(_home()).database_url, passwords))
    print(json.dumps({"migrated": True}) if args.json else "the schema is up to date")
    return DONE


def _provision(args: argparse.Namespace) -> int:
    import os

    from deploy.local import setup, state
    from shared.errors import Invalid

    replicas = os.environ.get("SMSFLEET_NATS_REPLICAS") or "1"
    if replicas not in ("1", "2", "3", "4", "5"):
        raise Invalid(f"SMSFLEET_NATS_REPLICAS is {replicas!r}: set it to a number from 1 to 5")
    known = state.connections(_home())
    asyncio.run(setup.provision(known.nats_url, known.nkey("provision"), int(replicas)))
    print(json.dumps({"provisioned": True}) if args.json else "the streams and consumers are up to date")
    return DONE
