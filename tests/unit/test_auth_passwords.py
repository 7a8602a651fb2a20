"""Which logins and passwords are taken."""

import pytest

from services.auth.passwords import checked_login, checked_password
from shared.contracts.rpc.people import CheckUser, CreateUser, SetPassword
from shared.errors import Invalid

LOGIN = "ana@example.org"


def test_a_login_is_kept_in_lower_case() -> None:
    assert checked_login("  Ana.Söhne@Example.ORG ") == "ana.söhne@example.org"


@pytest.mark.parametrize(
    "login",
    ["", "ana", "@example.org", "ana@", "a@b@c", "a b@c", "a\0@c", "\ud800@c", f"{'x' * 65}@c", "x@" + "c" * 260],
)
def test_what_is_no_login_is_refused(login: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_login(login)
    assert refused.value.code == "invalid_login"


@pytest.mark.parametrize("password", ["velvet otter 42", "πράσινο άλογο", "\u2126" * 5 + "violins"])
def test_long_passwords_of_one_s_own_are_taken(password: str) -> None:
    assert len(checked_password(password, LOGIN)) >= 12


def test_a_password_is_the_same_however_it_is_typed() -> None:
    composed, decomposed = "caf\u00e9 am morgen", "cafe\u0301 am morgen"
    assert checked_password(composed, LOGIN) == checked_password(decomposed, LOGIN)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "elevencharz",
        "password1234",
        "PassWord1234",
        "QWERTYUIOP12",
        "aaaaaaaaaaaa",
        "ababababababab",
        LOGIN,
        "xyz" * 342,
    ],
)
def test_what_others_would_guess_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_password(password, LOGIN)
    assert refused.value.code == "invalid_password"


def test_a_request_does_not_print_its_password() -> None:
    for request in (
        CheckUser(login="a@b", password="hunter2hunter2", address=""),
        CreateUser(account=1, login="a@b", password="hunter2hunter2"),
        SetPassword(account=1, id="usr_1", password="hunter2hunter2"),
    ):
        assert "hunter2" not in f"{request!r} {request}"
