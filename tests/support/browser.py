"""A browser as the dashboard meets it: keeps cookies, follows no redirect by itself, and sends a page's own forms."""

import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlsplit

import aiohttp
import yarl

DEADLINE_S = 20


@dataclass(frozen=True)
class Page:
    """An answer; the names of its headers are in lower case, `set_cookies` in order."""

    status: int
    headers: Mapping[str, str]
    set_cookies: list[str]
    text: str

    @property
    def csrf(self) -> str:
        """The token that the page's forms hold."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.text)
        assert found is not None, self.text[:2000]
        return found[1]

    @property
    def location(self) -> str:
        """Where the answer sends the browser."""
        return unescape(self.headers["location"])


class Browser:
    """One browser with cookies of its own. What it shows beside them stands in `headers`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        """Made by `browsing`."""
        self.url = url
        self.headers: dict[str, str] = {}
        self._session = session

    @property
    def origin(self) -> str:
        """What it calls the site."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it keeps."""
        return {cookie.key: cookie.value for cookie in self._session.cookie_jar}

    def plant(self, name: str, value: str) -> None:
        """A cookie for the whole host that somebody else put there."""
        self._session.cookie_jar.update_cookies({name: value}, yarl.URL(self.url))

    def forget(self, name: str) -> None:
        """Loses a cookie."""
        self._session.cookie_jar.clear(lambda cookie: cookie.key == name)

    async def get(self, path: str, **headers: str) -> Page:
        """Opens a page."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, fields: Mapping[str, str] | bytes, **headers: str) -> Page:
        """Sends a form as it stands."""
        return await self._ask("POST", path, fields, {"Origin": self.origin} | headers)

    async def ask(self, method: str, path: str) -> Page:
        """Sends what no page makes a browser send."""
        return await self._ask(method, path, None, {})

    async def submit(self, page: Page, path: str, **fields: str) -> Page:
        """Sends a form of this page."""
        return await self.post(path, {"csrf": page.csrf, **fields})

    async def sign_in(self, login: str, password: str, **more: str) -> Page:
        """By the page."""
        return await self.submit(
            await self.get("/dashboard/sign-in"), "/dashboard/sign-in", login=login, password=password, **more
        )

    async def _ask(
        self, method: str, path: str, body: Mapping[str, str] | bytes | None, headers: Mapping[str, str]
    ) -> Page:
        told = {name.replace("_", "-"): value for name, value in (self.headers | dict(headers)).items()}
        if isinstance(body, bytes):
            told = {"Content-Type": "application/x-www-form-urlencoded"} | told
        async with self._session.request(
            method, yarl.URL(self.url + path, encoded=True), data=body, headers=told, allow_redirects=False
        ) as answer:
            text = await answer.text()
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Page(answer.status, found, answer.headers.getall("Set-Cookie", []), text)


@contextlib.asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Browser]:
    """A new browser for the context's time."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as session:
        yield Browser(url, session)
