"""What hostile or broken clients put into addresses and forms, and where the dashboard's routes take something in."""

import inspect
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from typing import Final, NamedTuple
from urllib.parse import quote_plus

from litestar import Litestar

from tests.support.browser import Page

ODD: Final = (
    "",
    "%00",
    "a%00b",
    "%ED%A0%80",
    "%FF%FE",
    "%C0%AF",
    "%",
    "%zz",
    "0",
    "-1",
    "9223372036854775808",
    "-9223372036854775809",
    "9" * 5000,
    "0" * 5000,
    "1e309",
    "Infinity",
    "NaN",
    "%D9%A3",
    "%C2%B2",
    "1_000",
    "x" * 10_000,
    "%F0%9F%98%80" * 2500,
    "0001-01-01T00:00",
    "0001-01-01T00:00%2B23:59",
    "9999-12-31T23:59:59",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T25:61",
    "%E2%80%AEevil%E2%81%A6",
    "%27%3B+drop+table+messages%3B--",
    "%7B%7B7*7%7D%7D%7B%25+for+x+in+y+%25%7D%7Bcount%7D",
    "%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
    "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "javascript:alert(1)",
    "..%2F..%2F..%2Fetc%2Fpasswd",
    "%0D%0ASet-Cookie:+x=1",
    "%2B15550001111",
)
"""Values as they stand in an address or a body."""

LONG: Final = 1000

_PARAMETER: Final = re.compile(r"\{([a-z_]+)(?::[a-z]+)?\}")
_READ: Final = re.compile(r'\.get\("([a-z_]+)"|for name in \(((?:"[a-z_]+",? ?)+)\)')


class Odd(NamedTuple):
    """A request; fields stand as they go over the wire. `ends`: what it is about may be gone afterwards."""

    method: str
    place: str
    fields: Sequence[tuple[str, str]]
    ends: bool

    @property
    def path(self) -> str:
        """With its query."""
        return f"{self.place}?{self._told}" if self.method == "GET" else self.place

    @property
    def body(self) -> str:
        """Its form."""
        return "" if self.method == "GET" else self._told

    @property
    def _told(self) -> str:
        return "&".join(f"{name}={value}" for name, value in self.fields)


class Fields(HTMLParser):
    """The forms of a page as a browser would send them: by method and path, each field with its first value."""

    def __init__(self, page: str) -> None:
        """Reads the page."""
        super().__init__()
        self.forms: dict[tuple[str, str], dict[str, str]] = {}
        self._form: dict[str, str] = {}
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            place = (told.get("method", "get").upper(), told.get("action", ""))
            self._form = self.forms.setdefault(place, {})
        elif tag == "select":
            self._select = told.get("name", "")
        elif tag == "option":
            self._form.setdefault(self._select, told.get("value", ""))
        elif tag in ("input", "textarea", "button") and "name" in told:
            self._form.setdefault(told["name"], told.get("value", ""))


def read_by(app: Litestar) -> dict[tuple[str, str], set[str]]:
    """The names that the code behind a route reads of addresses and forms, by method and path of the route."""
    found: dict[tuple[str, str], set[str]] = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            module = inspect.getmodule(handler.fn)
            assert module is not None
            names: set[str] = set()
            for one, several in _READ.findall(inspect.getsource(module)):
                names |= {one} if one else set(several.replace('"', "").replace(",", " ").split())
            for method in handler.http_methods:
                path = _PARAMETER.sub(r"{\1}", route.path)
                found[method, path] = names
    return found


def odd_requests(method: str, template: str, path: str, fields: dict[str, str], names: set[str]) -> Iterator[Odd]:
    """Each parameter, each field and all of them at once as each odd value; the rest is as a browser sends it."""
    asked = names | ({"notice"} if method == "GET" else set())
    many = sorted(name for name in fields if ":" in name)[1:]
    ends = template.endswith(("/revoke", "/delete", "/remove", "/disable", "/cancel", "/role", "/password", "/rotate"))
    plain = {name: quote_plus(value) for name, value in fields.items() if name != "csrf"}
    parameters = _PARAMETER.findall(template)
    for value in ODD:
        for parameter in parameters:
            yield Odd(method, _with(template, path, parameter, value), [*plain.items()], ends=False)
        # One box is as good as another.
        for name in sorted({*plain, *asked} - {*many}):
            yield Odd(method, path, [*(plain | {name: value}).items()], ends)
            # Of a form that is one refusal, whatever the field.
            if method == "GET":
                yield Odd(method, path, [*plain.items(), (name, value), (name, "1")], ends)
        # A body has a limit, which is another test's.
        if len(value) < LONG:
            yield Odd(method, path, [(name, value) for name in sorted({*plain, *asked})], ends)


def _with(template: str, path: str, parameter: str, value: str) -> str:
    """The path with another value for this parameter."""
    pieces = zip(template.split("/"), path.split("/"), strict=True)
    return "/".join(value if known == f"{{{parameter}}}" else real for known, real in pieces)


def forms_of(page: Page) -> dict[tuple[str, str], dict[str, str]]:
    """The page's forms."""
    return Fields(page.text).forms
