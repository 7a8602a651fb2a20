"""The commands about campaigns: a file of numbers becomes one thing that can be paused and canceled."""

import argparse
import contextlib
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from services.cli.rpc import account_called, asking, command, facts, group, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.registry import Rpc
    from shared.contracts.rpc.auth import Account
    from shared.contracts.rpc.campaigns import Campaign, Campaigns, CampaignShown, RowsAdded

ROWS_PER_CALL = 500
TEXT_PER_CALL = 100_000
"""Characters of the rows' own texts in one call: far below what NATS carries at once."""

TRIES = 3
SHOWN_FAULTS = 10
DAY_S = 86_400


class FileRow(NamedTuple):
    """A row of the file and the line that it ends on."""

    line: int
    number: str
    text: str


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "campaign", "send to many numbers, and pause or cancel that as one")
    create = command(commands, "create", _create, "send a text to each number of a CSV file", account=True)
    create.add_argument("file", type=Path, help="CSV in UTF-8 with the header number or number,text")
    create.add_argument("--text", default="", help="the text of each row that has none of its own")
    create.add_argument("--name", help="what it is for (default: the file's name)")
    create.add_argument("--channel", choices=("sms", "whatsapp"), default="sms", help="default: sms")
    create.add_argument("--priority", type=int, default=-10, metavar="N", help="-128 to 127 (default: -10)")
    create.add_argument("--device", metavar="ID", help="only by this phone")
    create.add_argument("--sim", type=int, metavar="SLOT", help="only by this SIM, 1 to 8")
    create.add_argument("--at", type=_moment, metavar="TIME", help="not before, such as 2026-12-24T18:00:00+01:00")
    create.add_argument(
        "--valid-days", type=int, default=3, metavar="N", help="how long each text may wait for a phone"
    )
    command(commands, "list", _list, "list the campaigns, newest first", account=True)
    for name, run, about in (
        ("show", _show, "show how far a campaign is"),
        ("pause", _pause, "hold what no phone has"),
        ("resume", _resume, "go on with a paused campaign"),
        ("cancel", _cancel, "cancel what no phone has taken"),
    ):
        one = command(commands, name, run, about, account=True)
        one.add_argument("id", help="such as cmp_ and 12 characters")


def _create(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.campaigns import CancelCampaign, CreateCampaign, StartCampaign

    async def work(rpc: "RpcClient") -> "Campaign":
        account = await account_called(rpc, args.account)
        wish = CreateCampaign(
            account=account.id,
            name=args.name or args.file.name,
            text=args.text,
            channel=args.channel,
            priority=args.priority,
            device=args.device,
            sim=args.sim,
            starts_at=args.at,
            valid_s=args.valid_days * DAY_S,
        )
        with _opened(args.file) as reader:
            id = (await rpc.ask(registry.DISPATCHER_CAMPAIGN_CREATE, wish)).campaign.id
            try:
                await _fill(rpc, account, id, reader, quiet=args.json)
                start = StartCampaign(account=account.id, id=id)
                return (await rpc.ask(registry.DISPATCHER_CAMPAIGN_START, start)).campaign
            except Exception:
                # Nobody would know whether half a campaign was started.
                with contextlib.suppress(Exception):
                    await rpc.ask(registry.DISPATCHER_CAMPAIGN_CANCEL, CancelCampaign(account=account.id, id=id))
                raise

    made = asking(work)
    return show(args, made, f"{made.id} sends to {made.total} numbers; `smsfleet campaign show {made.id}` says how far")


@contextlib.contextmanager
def _opened(path: Path) -> "Iterator[csv.DictReader[str]]":
    """The file's rows. Raises Invalid (`invalid_file`), also while they are read."""
    from shared.errors import Invalid

    def fault(why: object) -> Invalid:
        return Invalid(f"{path}: {why}", code="invalid_file")

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            head = reader.fieldnames or []
            if sorted(head) not in (["number"], ["number", "text"]):
                raise fault("the first line is number or number,text")
            yield reader
    except OSError as problem:
        raise fault(problem.strerror) from problem
    except UnicodeDecodeError as problem:
        raise fault("it is not UTF-8") from problem
    except csv.Error as problem:
        raise fault(f"line {reader.line_num}: {problem}") from problem


async def _fill(rpc: "RpcClient", account: "Account", id: str, reader: "csv.DictReader[str]", *, quiet: bool) -> None:
    """Adds the file's rows. Raises Invalid (`invalid_rows`) naming the lines, and what the rpc raises."""
    from shared.contracts.rpc.campaigns import AddRows, Row
    from shared.errors import Invalid

    total = 0
    for rows in _batches(reader):
        ask = AddRows(
            account=account.id,
            id=id,
            after=total,
            rows=[Row(row.number, row.text or None) for row in rows],
            region=account.region,
            max_parts=account.max_parts,
        )
        added = await _added(rpc, ask)
        if added.refused:
            faults = [f"line {rows[each.row - total - 1].line}: {each.message}" for each in added.refused]
            more = f"\n... and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
            raise Invalid("Nothing is sent.\n" + "\n".join(faults[:SHOWN_FAULTS]) + more, code="invalid_rows")
        total = added.total
        if not quiet and sys.stderr.isatty():
            print(f"\r{total} rows", end="", file=sys.stderr, flush=True)
    if total and not quiet and sys.stderr.isatty():
        print(file=sys.stderr)


async def _added(rpc: "RpcClient", ask: Any) -> "RowsAdded":
    """Asks again where no answer came: the same rows are added once."""
    from shared.contracts import registry
    from shared.errors import Unavailable

    for left in reversed(range(TRIES)):
        try:
            return await rpc.ask(registry.DISPATCHER_CAMPAIGN_ADD, ask)
        except Unavailable:
            if not left:
                raise
    raise AssertionError("the last try returns or raises")


def _batches(reader: "csv.DictReader[str]") -> Iterator[list[FileRow]]:
    """The rows in groups that one call carries. Raises csv.Error for a row with more fields than the header."""
    batch: list[FileRow] = []
    characters = 0
    for record in reader:
        if reader.restkey in record:
            raise csv.Error("there are more fields than in the first line")
        row = FileRow(reader.line_num, record["number"] or "", record.get("text") or "")
        if batch and (len(batch) == ROWS_PER_CALL or characters + len(row.text) > TEXT_PER_CALL):
            yield batch
            batch, characters = [], 0
        batch.append(row)
        characters += len(row.text)
    if batch:
        yield batch


def _campaigns(args: argparse.Namespace, id: str | None) -> "Campaigns":
    from shared.contracts import registry
    from shared.contracts.rpc.campaigns import ListCampaigns

    async def work(rpc: "RpcClient") -> "Campaigns":
        account = await account_called(rpc, args.account)
        return await rpc.ask(registry.DISPATCHER_CAMPAIGN_LIST, ListCampaigns(account=account.id, id=id))

    return asking(work)


def _list(args: argparse.Namespace) -> int:
    found = _campaigns(args, None)
    rows = [
        (
            each.id,
            each.name,
            each.status,
            each.total,
            each.unfed + each.working,
            each.sent + each.delivered,
            each.failed,
        )
        for each in found.campaigns
    ]
    head = ("ID", "NAME", "STATUS", "ROWS", "TO DO", "SENT", "FAILED")
    return show(args, found, table(head, rows, empty="no campaigns"))


def _show(args: argparse.Namespace) -> int:
    (found,) = _campaigns(args, args.id).campaigns
    text = facts(
        [
            ("id", found.id),
            ("name", found.name),
            ("status", found.status),
            ("text", found.text),
            ("channel", found.channel),
            ("priority", found.priority),
            ("device", found.device),
            ("sim", found.sim),
            ("created", moment(found.created_at)),
            ("starts", moment(found.starts_at)),
            ("ended", moment(found.ended_at)),
            ("rows", found.total),
            ("not yet fed", found.unfed),
            ("under way", found.working),
            ("sent", found.sent),
            ("delivered", found.delivered),
            ("failed", found.failed),
            ("expired", found.expired),
            ("canceled", found.canceled),
            ("unknown", found.unknown),
        ]
    )
    return show(args, found, text)


def _pause(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.campaigns import PauseCampaign

    return _changed(args, registry.DISPATCHER_CAMPAIGN_PAUSE, PauseCampaign)


def _resume(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.campaigns import ResumeCampaign

    return _changed(args, registry.DISPATCHER_CAMPAIGN_RESUME, ResumeCampaign)


def _cancel(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.campaigns import CancelCampaign

    return _changed(args, registry.DISPATCHER_CAMPAIGN_CANCEL, CancelCampaign)


def _changed(args: argparse.Namespace, contract: "Rpc[Any, CampaignShown]", kind: Callable[..., Any]) -> int:
    async def work(rpc: "RpcClient") -> "Campaign":
        account = await account_called(rpc, args.account)
        return (await rpc.ask(contract, kind(account=account.id, id=args.id))).campaign

    changed = asking(work)
    return show(args, changed, f"{changed.id} is {changed.status}")


def _moment(text: str) -> float:
    """Unix seconds of an ISO 8601 time; without an offset it is this machine's."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-12-24T18:00:00+01:00") from problem
