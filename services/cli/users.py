"""The commands about people. A password is typed or piped in, never an argument that others could see."""

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from services.cli.rpc import Result, account_called, asking, command, facts, group, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.people import LinkCreated, Role, User, Users

ROLES = ("owner", "member", "viewer")

SLOW_S = 20.0
"""A password takes a moment to be hashed, and longer while others do."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "user", "make, list and change the people of an account")
    create = command(commands, "create", _create, "make a user", account=True)
    create.add_argument("login", help="such as ana@example.org")
    create.add_argument("--role", choices=ROLES, default="member", help="what the user may do (default: member)")
    _add_password(create).add_argument("--no-password", action="store_true", help="sign in by links only")
    command(commands, "list", _list, "list the users", account=True)
    show_ = command(commands, "show", _show, "show one user", account=True)
    change = command(commands, "set", _set, "change a user's role", account=True)
    change.add_argument("--role", choices=ROLES, required=True, help="what the user may do")
    password = command(commands, "password", _password, "give a user another password", account=True)
    _add_password(password)
    disable = command(commands, "disable", _disable, "let a user in no more", account=True)
    enable = command(commands, "enable", _enable, "let a disabled user in again", account=True)
    out = command(commands, "sign-out", _sign_out, "sign a user out of every browser", account=True)
    link = command(commands, "link", _link, "make a link that signs a user in once, within ten minutes", account=True)
    for one in (show_, change, password, disable, enable, out, link):
        one.add_argument("login")


def _add_password(parser: argparse.ArgumentParser) -> "argparse._MutuallyExclusiveGroup":
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    return choice


def _typed_password(args: argparse.Namespace) -> str:
    """The password from standard input or, twice, from the terminal. Raises Invalid."""
    from shared.errors import Invalid

    if args.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Invalid("There is no terminal to type a password at: pipe it in with --password-stdin.")
    import getpass

    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise Invalid("The two passwords are not the same.", code="invalid_password")
    return password


def _create(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.people import CreateUser

    password = None if args.no_password else _typed_password(args)

    async def work(rpc: "RpcClient") -> "User":
        account = await account_called(rpc, args.account)
        request = CreateUser(account=account.id, login=args.login, role=args.role, password=password)
        return await rpc.ask(registry.AUTH_USER_CREATE, request, SLOW_S)

    made = asking(work)
    return show(args, made, _facts(made))


def _users(args: argparse.Namespace) -> "Users":
    from shared.contracts import registry
    from shared.contracts.rpc.people import ListUsers

    async def work(rpc: "RpcClient") -> "Users":
        return await rpc.ask(registry.AUTH_USER_LIST, ListUsers((await account_called(rpc, args.account)).id))

    return asking(work)


def _list(args: argparse.Namespace) -> int:
    found = _users(args)
    rows = [
        (each.id, each.login, each.role, each.disabled, each.has_password, moment(each.last_sign_in_at))
        for each in found.users
    ]
    head = ("ID", "LOGIN", "ROLE", "DISABLED", "PASSWORD", "LAST SIGN-IN")
    return show(args, found, table(head, rows, empty="no users"))


def _acting(args: argparse.Namespace, act: "Callable[[RpcClient, User], Awaitable[Result]]") -> Result:
    """Does something about the user that the arguments name. Raises NotFound."""
    from shared.contracts import registry
    from shared.contracts.rpc.people import ListUsers
    from shared.errors import NotFound

    async def work(rpc: "RpcClient") -> Result:
        account = await account_called(rpc, args.account)
        for user in (await rpc.ask(registry.AUTH_USER_LIST, ListUsers(account.id))).users:
            if args.login.strip().lower() == user.login:
                return await act(rpc, user)
        raise NotFound(f"There is no user {args.login!r} in this account.")

    return asking(work)


def _show(args: argparse.Namespace) -> int:
    async def act(_: "RpcClient", user: "User") -> "User":
        return user

    found = _acting(args, act)
    return show(args, found, _facts(found))


def _set(args: argparse.Namespace) -> int:
    return _change(args, role=args.role)


def _disable(args: argparse.Namespace) -> int:
    return _change(args, disabled=True)


def _enable(args: argparse.Namespace) -> int:
    return _change(args, disabled=False)


def _change(args: argparse.Namespace, *, role: "Role | None" = None, disabled: bool | None = None) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.people import SetUser

    async def act(rpc: "RpcClient", user: "User") -> "User":
        request = SetUser(account=user.account, id=user.id, role=role, disabled=disabled)
        return await rpc.ask(registry.AUTH_USER_SET, request)

    changed = _acting(args, act)
    return show(args, changed, _facts(changed))


def _password(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.people import SetPassword

    password = _typed_password(args)

    async def act(rpc: "RpcClient", user: "User") -> "User":
        request = SetPassword(account=user.account, id=user.id, password=password)
        await rpc.ask(registry.AUTH_USER_SET_PASSWORD, request, SLOW_S)
        return user

    changed = _acting(args, act)
    return show(args, {"id": changed.id, "changed": True}, f"{changed.login} has a new password")


def _sign_out(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.people import SignOutUser

    async def act(rpc: "RpcClient", user: "User") -> "User":
        await rpc.ask(registry.AUTH_USER_SIGN_OUT, SignOutUser(account=user.account, id=user.id))
        return user

    out = _acting(args, act)
    return show(args, {"id": out.id, "signed_out": True}, f"{out.login} is signed out everywhere")


def _link(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.people import CreateLink

    async def act(rpc: "RpcClient", user: "User") -> "LinkCreated":
        return await rpc.ask(registry.AUTH_LINK_CREATE, CreateLink(account=user.account, id=user.id))

    made = _acting(args, act)
    text = facts([("token", made.token), ("expires", moment(made.expires_at))])
    return show(args, made, f"{text}\nThe token is shown only now, and is good once.")


def _facts(user: "User") -> str:
    return facts(
        [
            ("id", user.id),
            ("login", user.login),
            ("role", user.role),
            ("disabled", user.disabled),
            ("has a password", user.has_password),
            ("created", moment(user.created_at)),
            ("last sign-in", moment(user.last_sign_in_at)),
        ]
    )
