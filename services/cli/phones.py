"""The commands about phones: run one by hand, and make a text arrive at a simulated one."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from services.cli.devices import add_commands

if TYPE_CHECKING:
    from deploy.local.paths import Home

DONE, FAILED, USAGE, NOT_RUNNING = 0, 1, 2, 3

_ADDRESSES = {"socket": ("ws", "/phone/v1/socket"), "smsgate": ("http", "/mobile/v1")}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands; a new one is a function in the tuple."""
    group = subparsers.add_parser("phone", help="run and list phones, make a text arrive at a simulated one")
    commands = group.add_subparsers(required=True, metavar="command")
    for add in (_add_run, add_commands, _add_receive):
        add(commands)


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = _command(commands, "run", _run, "run a simulated phone until Ctrl-C")
    run.add_argument("--name", default="phone-1", help="its name and, below phones/, its folder")
    run.add_argument(
        "--protocol",
        choices=tuple(_ADDRESSES),
        help="socket: SMSFleet's own; smsgate: as the app SMS Gateway for Android (default: socket)",
    )
    run.add_argument(
        "--url",
        help="ws://host:port/phone/v1/socket, or http://host:port/mobile/v1 for smsgate (default: this installation's)",
    )
    run.add_argument(
        "--enrolment-key",
        "--key",
        help="only for the first start (default: this installation's); others can see it",
    )
    run.add_argument("--home", type=Path, help="the phone's folder (default: SMSFLEET_HOME/phones/NAME)")


def _add_receive(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    receive = _command(commands, "receive", _receive, "make a text arrive at a simulated phone")
    receive.add_argument("--from", dest="number", required=True, metavar="NUMBER", help="who sends the text")
    receive.add_argument("text", help="the text")
    receive.add_argument("--name", help="the phone (default: the first one)")
    receive.add_argument("--sim", type=int, choices=(1, 2), default=1, help="the SIM slot (default: 1)")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    about: str,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}."
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of text")
    command.set_defaults(run=run)
    return command


def _run(args: argparse.Namespace) -> int:
    from deploy.local.paths import home_from_environment

    home = home_from_environment()
    known = _read(home.credentials)
    own = _read(home.phones / args.name / "phone.json")
    protocol = args.protocol or os.environ.get("SMSFLEET_PHONE_PROTOCOL") or "socket"
    url = args.url or os.environ.get("SMSFLEET_PHONE_URL") or _phone_url(known.get("base_url", ""), protocol)
    if not url:
        return _say(args, NOT_RUNNING, "no installation is here that the phone could talk to: give --url")
    key = (
        args.enrolment_key
        or os.environ.get("SMSFLEET_PHONE_ENROLMENT_KEY")
        or own.get("enrolment_key")
        or known.get("enrolment_key", "")
    )
    environment = {
        **os.environ,
        "SMSFLEET_PHONE_PROTOCOL": protocol,
        "SMSFLEET_PHONE_URL": url,
        "SMSFLEET_PHONE_ENROLMENT_KEY": key,
        "SMSFLEET_PHONE_HOME": str((args.home or home.phones / args.name).absolute()),
        "SMSFLEET_PHONE_NAME": args.name,
    }
    return _become_agent(environment)


def _become_agent(environment: dict[str, str]) -> NoReturn:
    # In place of this process, so that signals and the exit code are the phone's own.
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "agent"], environment)  # noqa: S606


def _receive(args: argparse.Namespace) -> int:
    from agent.home import PhoneHome
    from agent.incoming import drop
    from deploy.local.paths import home_from_environment

    home = home_from_environment()
    names = _phones(home)
    if args.name is not None and args.name not in names:
        return _say(args, FAILED, f"there is no phone {args.name!r} here")
    if not names:
        return _say(args, NOT_RUNNING, "there is no simulated phone here: start SMSFleet with `make up`")
    name = args.name or names[0]
    folder = home.phones / name
    if not PhoneHome(folder).is_running():
        return _say(args, NOT_RUNNING, f"{name} is not running")
    try:
        text_id = drop(folder, args.number, args.text, args.sim)
    except (ValueError, OSError) as problem:
        return _say(args, FAILED, str(problem))
    done = {"phone": name, "sim": args.sim, "id": text_id}
    print(json.dumps(done) if args.json else f"the text arrives at {name}, SIM {args.sim}")
    return DONE


def _phones(home: "Home") -> list[str]:
    """Names of the phones that have run here, phone-2 before phone-10."""
    try:
        found = [folder.name for folder in home.phones.iterdir() if (folder / "journal.db").exists()]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda name: (len(name), name))


def _phone_url(base_url: str, protocol: str) -> str:
    if not base_url.startswith(("http://", "https://")):
        return ""
    # A word that is none is the agent's to refuse.
    scheme, path = _ADDRESSES.get(protocol, _ADDRESSES["socket"])
    return scheme + base_url.removeprefix("http") + path


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _say(args: argparse.Namespace, code: int, problem: str) -> int:
    if args.json:
        print(json.dumps({"error": problem}))
    else:
        print(f"smsfleet: {problem}", file=sys.stderr)
    return code
