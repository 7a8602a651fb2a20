"""Shows templates: what every page is given, and how texts of strangers are made harmless."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import jinja2
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.response import Redirect, Template

from services.gateway.dashboard.door.visitors import Visitor
from services.gateway.dashboard.frame import charts
from services.gateway.dashboard.frame.assets import Assets
from services.gateway.dashboard.frame.formats import Moment, day, moment, number, span, visible
from services.gateway.dashboard.frame.languages import COOKIE, LANGUAGES, Words, preferred

FOLDER: Final = Path(__file__).parents[1] / "templates"
PREFIX: Final = "/dashboard"


def environment() -> jinja2.Environment:
    """The templates: everything is escaped, and a name that nobody gave is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.filters["visible"] = visible
    made.globals.update(columns=charts.columns, meter=charts.meter, languages=LANGUAGES)
    return made


class Writing(NamedTuple):
    """How times and numbers are written for one visitor."""

    zone: str
    language: str
    now: float

    def moment(self, at: float | datetime) -> Moment:
        """A time by the account's clock."""
        return moment(at, self.zone, self.now, self.language)

    def day(self, at: datetime) -> str:
        """The day of a time by the account's clock."""
        return day(at, self.zone, self.language)

    def number(self, value: float) -> str:
        """A number with its thousands."""
        return number(value, self.language)

    def span(self, seconds: float) -> str:
        """A length of time."""
        return span(seconds, self.language)

    def ago(self, at: float | datetime) -> float:
        """How long ago that was, in seconds."""
        return self.now - (at.timestamp() if isinstance(at, datetime) else at)


class Pages:
    """Makes answers of templates."""

    def __init__(
        self, words: Mapping[str, Words], assets: Assets, base_url: str, clock: Callable[[], float] = time.time
    ) -> None:
        """`words` by language; `clock` gives Unix seconds."""
        self._words = words
        self._assets = assets
        self.base_url = base_url
        self._clock = clock

    def show(
        self,
        request: Request[Any, Any, Any],
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        source: str = "",
        **context: Any,
    ) -> Template:
        """A page. `source`: the page to be opened instead where this one answers a form whose address is none.

        Templates get `visitor` (None where nobody is signed in), `t`, `write`, `may`, `path`, `notice`.
        """
        visitor = visitor_of(request)
        words = self.words(request)
        notice = request.query_params.get("notice", "")
        common = {
            "visitor": visitor,
            "csrf": visitor.session.csrf if visitor else "",
            "may": visitor.may if visitor else _nothing,
            "t": words,
            "language": words.language,
            "write": self.writing(request),
            "asset": self._assets.url,
            "base_url": self.base_url,
            "path": request.scope["path"],
            "here": source or here(request),
            "source": source,
            "notice": words(notice) if is_notice(notice) and notice in words else "",
        }
        return Template(template, context=common | context, status_code=status, headers=dict(headers or {}))

    def writing(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Writing:
        """How times and numbers are written for this visitor; `now` is the time of the page."""
        visitor = visitor_of(connection)
        zone = visitor.verdict.time_zone if visitor else "UTC"
        return Writing(zone, self.words(connection).language, self._clock())

    def words(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Words:
        """The words of the browser's language."""
        accepted = connection.headers.get("accept-language", "")
        return self._words[preferred(connection.cookies.get(COOKIE), accepted)]


def is_notice(key: str) -> bool:
    """Whether this key may be shown because an address says so: only sentences made for that."""
    return ".notice." in key and "{" not in key


def go(path: str, notice: str = "", **parameters: str) -> Redirect:
    """To another page of the dashboard after a change (303), with a sentence that says what was done."""
    told = parameters | ({"notice": notice} if notice else {})
    return Redirect(f"{PREFIX}{path}" + (f"?{urlencode(told)}" if told else ""), status_code=303)


def visitor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Visitor | None:
    """The visitor, where somebody is signed in."""
    found = connection.scope.get("user")
    return found if isinstance(found, Visitor) else None


def here(request: Request[Any, Any, Any]) -> str:
    """Path and query of this page, without what was only to be said once."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "notice"]
    path: str = request.scope["path"]
    return f"{path}?{urlencode(kept)}" if kept else path


def link(path: str, **parameters: Any) -> str:
    """A path of the dashboard with those parameters that say something."""
    told = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{PREFIX}{path}" + (f"?{urlencode(told)}" if told else "")


def _nothing(_: str) -> bool:
    return False
