"""Reads the forms that pages send, and refuses those that another site made a browser send."""

import contextlib
import hmac
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from litestar import Request
from litestar.exceptions import HTTPException

from services.gateway.asgi import Gone, check_size, read_body
from services.gateway.dashboard.door.cookies import Cookies
from services.gateway.dashboard.door.sessions import Session, csrf_of
from shared.errors import Forbidden, Invalid, SmsFleetError

MAX_FIELDS: Final = 200

TYPE: Final = "application/x-www-form-urlencoded"

Form = dict[str, str]
"""Fields by name, each at most once; an empty field is an empty text."""

_STATE: Final = "dashboard_form"
_UNCHECKED: Final = "dashboard_form_unchecked"
_RECIPIENTS: Final = ("to", "with", "number")
_OURS: Final = frozenset(("same-origin", "none"))
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class Unsent(NamedTuple):
    """A text that somebody typed, and for whom."""

    to: str
    text: str


class BadForm(Forbidden):
    """The form was made for another session, or came from another site."""

    code = "bad_form"


async def posted(request: Request[Any, Any, Any], session: Session | None, cookies: Cookies) -> Form:
    """The form of a request that our own page sent; `form_of` finds it again.

    It holds the session's token, or without a session that of the browser's cookie. Raises BadForm, Invalid,
    RequestTooLarge, RequestTimeout, and HTTPException (415) for a body that is no urlencoded form.
    """
    form = await _read(request)
    token = None if session else cookies.form(request)
    expected = session.csrf if session else csrf_of(token) if token else ""
    if not expected or not hmac.compare_digest(form.get("csrf", "").encode(), expected.encode()):
        raise BadForm
    checked = {name: value for name, value in form.items() if name != "csrf"}
    request.scope["state"][_STATE] = checked
    return checked


async def keep(request: Request[Any, Any, Any]) -> None:
    """Reads the form of a request that is refused before its form is looked at, so that `unsent` finds its text."""
    with contextlib.suppress(SmsFleetError, HTTPException):
        await _read(request)


def unsent(request: Request[Any, Any, Any]) -> Unsent | None:
    """The text in a form that was not taken: whoever typed it is shown it again. None without one."""
    form: Form = request.scope["state"].get(_UNCHECKED, {})
    to = next((form[name] for name in _RECIPIENTS if form.get(name)), "")
    return Unsent(to, form["text"]) if form.get("text") else None


async def _read(request: Request[Any, Any, Any]) -> Form:
    """The fields that a page of our own sent; whether they are of this session is not looked at."""
    check_origin(request.headers)
    headers = dict(request.scope["headers"])
    check_size(request.scope["query_string"], headers)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
        raise HTTPException(status_code=415, detail=f"The body is {TYPE}.")
    try:
        form = read_form(await read_body(request.receive))  # type: ignore[arg-type]
    except Gone as error:
        raise Invalid("The body ended too early.") from error
    request.scope["state"][_UNCHECKED] = form
    return form


def form_of(request: Request[Any, Any, Any]) -> Form:
    """The form that `posted` has read and checked; an empty one where none was sent."""
    form: Form = request.scope["state"].get(_STATE, {})
    return form


def read_form(body: bytes) -> Form:
    """The fields of an urlencoded body (WHATWG URL, 5.1), at most 200. Raises Invalid."""
    if body.count(b"&") >= MAX_FIELDS:
        raise Invalid(f"A form has at most {MAX_FIELDS} fields.")
    form: Form = {}
    try:
        for pair in body.split(b"&"):
            name, _, value = pair.partition(b"=")
            if not pair:
                continue
            if (known := _word(name)) in form:
                raise Invalid("A field stands there twice.")
            form[known] = _word(value)
    except UnicodeDecodeError as error:
        raise Invalid("A field is not valid UTF-8.") from error
    return form


def is_count(text: str, most: int) -> bool:
    """Whether a field holds a whole number from 0 to `most` in plain digits."""
    return text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most


def check_origin(headers: Mapping[str, str]) -> None:
    """Refuses what a page of another site sent. Raises BadForm.

    Sec-Fetch-Site is the browser's own word (Fetch Metadata, 2.3); it is not sent over plain http, where Origin
    (RFC 6454, 7) must name the host that was asked. What is no browser sends neither, and no cookie unasked.
    """
    if (site := headers.get("sec-fetch-site")) is not None:
        if site not in _OURS:
            raise BadForm
    elif (origin := headers.get("origin")) is not None:
        scheme, _, netloc = origin.lower().partition("://")
        port = _DEFAULT_PORTS.get(scheme, "")
        if not netloc or _plain(netloc, port) != _plain(headers.get("host", ""), port):
            raise BadForm


def _plain(netloc: str, port: str) -> str:
    return netloc.lower().removesuffix(port)


def _word(raw: bytes) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
